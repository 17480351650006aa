//! Checks that the tests named in the documents exist.

use std::path::Path;

/// Cells of a row of docs/failure.md.
const CELLS: usize = 5;

#[test]
fn every_row_of_the_table_of_faults_names_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |path: &str| {
        std::fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    };
    let document = read("docs/failure.md");
    let is_row = |line: &&str| line.starts_with("| ") && !line.ends_with("| test |");
    let rows: Vec<&str> = document.lines().filter(is_row).collect();
    assert!(rows.len() > 40, "the tables are there");
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), CELLS, "{row}");
        let test = cells[CELLS - 1].trim_matches('`');
        let (file, name) = test
            .split_once("::")
            .unwrap_or_else(|| panic!("no test: {row}"));
        let source = read(&format!("crates/{file}"));
        assert!(
            source.contains(&format!("fn {name}()")),
            "there is no {name} in {file}"
        );
    }
}
