//! What a supervisor is told over NOTIFY_SOCKET, as systemd gives it.

use std::os::unix::net::UnixDatagram;
use std::process::Command;

use rustix::process::Signal;
use testkit::{Process, free_port};

use crate::latency::ctl;
use crate::rig::{BIN, TIME_LIMIT};

#[test]
fn it_is_told_when_the_proxy_serves_reloads_and_ends() {
    let dir = tempfile::tempdir().expect("a directory");
    let (socket, conf, control) = (
        dir.path().join("notify"),
        dir.path().join("nutcracker.yml"),
        dir.path().join("control"),
    );
    let supervisor = UnixDatagram::bind(&socket).expect("a socket");
    supervisor
        .set_read_timeout(Some(TIME_LIMIT))
        .expect("a socket");
    let hear = || {
        let mut buffer = [0; 4096];
        let count = supervisor.recv(&mut buffer).expect("a message");
        String::from_utf8_lossy(&buffer[..count]).into_owned()
    };
    let text = format!(
        "p:\n  listen: 127.0.0.1:{}\n  redis: true\n  servers:\n    - 127.0.0.1:1:1\n",
        free_port()
    );
    std::fs::write(&conf, &text).expect("a file");
    let mut command = Command::new(BIN);
    command.arg("-c").arg(&conf).arg("--control").arg(&control);
    command.args(["-a", "127.0.0.1", "-s", &free_port().to_string()]);
    command.env("NOTIFY_SOCKET", &socket);
    let mut proxy = Process::spawn(command);
    let ready = format!("MAINPID={}\nREADY=1\n", proxy.pid());
    assert_eq!(hear(), ready);
    ctl(&control, &["reload"]).success();
    assert!(hear().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    assert_eq!(hear(), ready);
    // One that is refused is over, too.
    std::fs::write(&conf, "p: [").expect("a file");
    assert_eq!(ctl(&control, &["reload"]).status, Some(1));
    assert!(hear().starts_with("RELOADING=1\n"));
    assert_eq!(hear(), ready);
    proxy.signal(Signal::TERM);
    assert_eq!(hear(), "STOPPING=1\nSTATUS=ending\n");
    assert_eq!(proxy.wait_exit(TIME_LIMIT).code(), Some(0));
}
