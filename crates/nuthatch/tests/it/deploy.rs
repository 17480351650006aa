//! What is in `deploy/`: the dashboard and the alerts ask for metrics that exist, and the manifests fit the program.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use testkit::{Process, Tool, free_port};

use crate::admin::{ask, rig};
use crate::need;
use crate::rig::{BIN, wait_for};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../deploy")
        .join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The values of all keys of this name, wherever they are.
fn all<'v>(value: &'v Value, key: &str, found: &mut Vec<&'v Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| all(item, key, found)),
        Value::Object(entries) => {
            found.extend(entries.get(key));
            entries.values().for_each(|value| all(value, key, found));
        }
        _ => {}
    }
}

fn texts(value: &Value, key: &str) -> Vec<String> {
    let mut found = Vec::new();
    all(value, key, &mut found);
    let texts = found.into_iter().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

fn dashboard() -> Value {
    serde_json::from_str(&text("grafana/nuthatch.json")).expect("JSON")
}

fn alerts() -> Value {
    serde_saphyr::from_str(&text("prometheus/nuthatch.rules.yml")).expect("YAML")
}

/// The metrics that an expression names.
fn metrics(expression: &str) -> impl Iterator<Item = &str> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("nuthatch_") || word.starts_with("process_"))
}

#[test]
fn dashboard_and_alerts_ask_for_metrics_that_exist() {
    let (_rig, port) = need!(rig(1, &[], &[]), "redis-server");
    let page = ask(port, "/metrics", &[]).body;
    let lines = page.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let known: BTreeSet<&str> = lines.filter_map(|line| line.split(' ').next()).collect();
    let series = serde_saphyr::from_str(&text("prometheus/nuthatch.rules.test.yml")).expect("YAML");
    let dashboard = dashboard();
    for (expressions, least) in [
        (texts(&dashboard, "expr"), 30),
        (texts(&dashboard, "definition"), 3),
        (texts(&alerts(), "expr"), 8),
        (texts(&series, "series"), 20),
    ] {
        let named: Vec<&str> = expressions.iter().flat_map(|it| metrics(it)).collect();
        assert!(named.len() >= least, "{expressions:?}");
        for name in named {
            // A histogram has samples of several names.
            let family = name.strip_suffix("_bucket").unwrap_or(name);
            assert!(known.contains(family), "/metrics has no {name}");
        }
    }
}

#[test]
fn prometheus_takes_the_expressions_of_the_dashboard() {
    let promtool = need!(
        Tool::find("promtool"),
        "promtool (Debian's package prometheus)"
    );
    let mut rules = String::from("groups:\n  - name: dashboard\n    rules:\n");
    for (index, expression) in texts(&dashboard(), "expr").iter().enumerate() {
        let expression = expression.replace("$__rate_interval", "5m");
        let quoted = serde_json::to_string(&expression).expect("a text");
        rules += &format!("      - record: panel:{index}\n        expr: {quoted}\n");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let written = folder.path().join("rules.yml");
    fs::write(&written, rules).expect("the file");
    succeeds(promtool.command().args(["check", "rules"]).arg(&written));
}

#[test]
fn alerts_are_raised_when_they_should_be() {
    let promtool = need!(
        Tool::find("promtool"),
        "promtool (Debian's package prometheus)"
    );
    let (rules, tests) = (
        "prometheus/nuthatch.rules.yml",
        "prometheus/nuthatch.rules.test.yml",
    );
    succeeds(promtool.command().args(["check", "rules"]).arg(file(rules)));
    succeeds(promtool.command().args(["test", "rules"]).arg(file(tests)));
    let cases = text(tests);
    for alert in texts(&alerts(), "alert") {
        let is_tried = |line: &str| line.trim() == format!("alertname: {alert}");
        assert!(
            cases.lines().any(is_tried),
            "{alert} is never raised in the tests"
        );
    }
}

fn succeeds(command: &mut Command) {
    let done = command.output().expect("it runs");
    let said = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    assert!(done.status.success(), "{said}");
}

/// By the schemas of Kubernetes' own interfaces, without what these do not know.
#[test]
fn the_manifests_are_what_kubernetes_takes() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let validate = root.join("target/clients/manifests/bin/kubernetes-validate");
    if !validate.exists() {
        testkit::skip!("kubernetes-validate is not installed");
    }
    for name in ["nuthatch", "sidecar"] {
        let mut command = Command::new(&validate);
        succeeds(
            command
                .arg("--strict")
                .arg(file(&format!("kubernetes/{name}.yaml"))),
        );
    }
}

#[test]
fn the_sidecar_serves_its_pod_alone() {
    let text = text("kubernetes/sidecar.yaml");
    let mut documents = text.split("\n---\n").map(|document| {
        let value: Value = serde_saphyr::from_str(document).expect("YAML");
        value
    });
    let map = documents.next().expect("a ConfigMap");
    let config = map["data"]["nuthatch.yml"]
        .as_str()
        .expect("the configuration");
    let config: Value = serde_saphyr::from_str(config).expect("YAML");
    let listen = config["cache"]["listen"].as_str().expect("an address");
    assert!(listen.starts_with("127.0.0.1:"), "{listen}");
    let deployment = documents.next().expect("a Deployment");
    let pod = &deployment["spec"]["template"]["spec"];
    let sidecar = &pod["initContainers"][0];
    assert_eq!(
        sidecar["restartPolicy"], "Always",
        "a container that starts first and ends last"
    );
    let address = &pod["containers"][0]["env"][0]["value"];
    assert_eq!(address, listen, "the application connects to it");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("nuthatch.yml");
    std::fs::write(&path, map["data"]["nuthatch.yml"].as_str().expect("text")).expect("a file");
    succeeds(Command::new(crate::rig::BIN).args(["-t", "-c"]).arg(&path));
}

/// The objects of the manifest, by their kinds.
fn manifest() -> impl Fn(&str) -> Value {
    let text = text("kubernetes/nuthatch.yaml");
    let documents: Vec<Value> = text
        .split("\n---\n")
        .map(|document| serde_saphyr::from_str(document).expect("YAML"))
        .collect();
    move |kind| {
        let found = documents.iter().find(|document| document["kind"] == kind);
        found.unwrap_or_else(|| panic!("no {kind}")).clone()
    }
}

#[test]
fn the_objects_of_the_manifest_belong_together() {
    let object = manifest();
    let deployment = object("Deployment");
    let pod = &deployment["spec"]["template"];
    let labels = &pod["metadata"]["labels"];
    for selector in [
        &deployment["spec"]["selector"]["matchLabels"],
        &object("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        &object("Service")["spec"]["selector"],
    ] {
        assert_eq!(selector, labels);
    }
    let container = &pod["spec"]["containers"][0];
    let ports = container["ports"].as_array().expect("ports");
    let port = |name: &Value| {
        let found = ports.iter().find(|port| &port["name"] == name);
        found.unwrap_or_else(|| panic!("no port {name}"))["containerPort"].clone()
    };
    let files = object("ConfigMap")["data"].clone();
    let file = files["nuthatch.yml"].as_str().expect("the configuration");
    let config: Value = serde_saphyr::from_str(file).expect("YAML");
    let ends_in = |address: &Value, port: Value| {
        let address = address.as_str().expect("an address");
        assert!(
            address.ends_with(&format!(":{port}")),
            "{address} is not at port {port}"
        );
    };
    ends_in(
        &config["cache"]["listen"],
        port(&object("Service")["spec"]["ports"][0]["targetPort"]),
    );
    ends_in(
        &config["nuthatch"]["admin"],
        port(&container["readinessProbe"]["httpGet"]["port"]),
    );
    assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/readyz");
    let names = texts(&pod["spec"]["volumes"], "name");
    for mounted in texts(&container["volumeMounts"], "name") {
        assert!(names.contains(&mounted), "{mounted}");
    }
    // The pod is not killed while it drains and shuts down, and clients are not told before the probe has failed.
    let time = |name: &str| config["nuthatch"][name].as_u64().expect("a number");
    let number = |value: &Value| value.as_u64().expect("a number");
    let grace = number(&pod["spec"]["terminationGracePeriodSeconds"]);
    let times = ["drain_wait", "drain_grace", "drain", "shutdown_timeout"].map(time);
    assert!(grace * 1_000 > times.into_iter().sum());
    let probe = &container["readinessProbe"];
    let noticed = number(&probe["periodSeconds"]) * number(&probe["failureThreshold"]);
    assert!(time("drain_wait") > noticed * 1_000);
}

#[test]
fn the_container_of_the_manifest_starts_and_its_probes_are_answered() {
    let object = manifest();
    let container = object("Deployment")["spec"]["template"]["spec"]["containers"][0].clone();
    let files = object("ConfigMap")["data"].clone();
    let config = files["nuthatch.yml"].as_str().expect("the configuration");
    let folder = tempfile::tempdir().expect("a folder");
    let conf = folder.path().join("nuthatch.yml");
    let (clients, admin) = (free_port(), free_port());
    let config = config
        .replace("0.0.0.0:22121", &format!("127.0.0.1:{clients}"))
        .replace("0.0.0.0:22290", &format!("127.0.0.1:{admin}"));
    fs::write(&conf, config).expect("the file");
    succeeds(
        Command::new(BIN)
            .args(["check", "--deny", "all"])
            .arg(&conf),
    );

    let mut command = Command::new(BIN);
    for argument in container["args"].as_array().expect("arguments") {
        let argument = argument.as_str().expect("a text");
        let (run, here) = ("/run/nuthatch", folder.path().to_string_lossy());
        command.arg(argument.replace("/etc/nuthatch", &here).replace(run, &here));
    }
    command.arg(format!("--stats-port={}", free_port()));
    let mut process = Process::spawn(command);
    wait_for("the admin port", || {
        assert_eq!(process.exited(), None, "{}", process.stderr());
        std::net::TcpStream::connect(("127.0.0.1", admin)).is_ok()
    });
    for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
        let path = container[probe]["httpGet"]["path"]
            .as_str()
            .expect("a path");
        assert_eq!(ask(admin, path, &[]).status(), 200, "{probe}");
    }
    assert!(
        folder.path().join("control.sock").exists(),
        "the control socket is in the volume"
    );
}
