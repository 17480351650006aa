//! Names, and the other ways to give a setting, for every row.

use super::*;

#[test]
fn names_are_unique_within_a_scope() {
    for scope in [Scope::Pool, Scope::Global] {
        let mut names: Vec<_> = of(scope).map(|setting| setting.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}

#[test]
fn nutcrackers_eighteen_keys_are_known() {
    let theirs = SETTINGS.iter().filter(|s| s.origin == Origin::Nutcracker);
    assert_eq!(theirs.count(), 18);
}

#[test]
fn every_global_setting_can_be_given_outside_the_file() {
    for setting in of(Scope::Global) {
        let outside = setting.outside.expect("a flag and a variable");
        assert_eq!(outside.flag, setting.name.replace('_', "-"));
        assert_eq!(
            outside.env,
            format!("NUTHATCH_{}", setting.name.to_uppercase())
        );
    }
}
