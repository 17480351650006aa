//! Health of servers while plans replace each other.

use proxy::Cause;
use proxy::settings::{EjectPolicy, PoolSettings};

use crate::plans::moved;
use crate::stage::{ConnectResult, Stage, millis, redis_pool};
use crate::words::{REFUSED, get};

#[test]
fn health_is_of_where_a_server_is() {
    let settings = || PoolSettings {
        auto_eject_hosts: true,
        ..redis_pool(2)
    };
    let mut stage = Stage::new(settings());
    let client = stage.client();
    let key = stage.key(1);
    stage.eject(1);
    stage.set_connect_result(1, ConnectResult::Open);
    stage.publish(moved(settings(), 1));
    assert!(stage.is_live(1), "nothing is known of the new place");
    stage.say(client, get(&key));
    let new = stage.link(1);
    assert_eq!(stage.heard(new), get(&key));
    // What happens where it was says nothing of where it is, whether the worker knows or not.
    stage.publish(settings());
    stage.hang_up(new, Cause::Reset);
    assert!(stage.is_live(1));
    assert_eq!(stage.hear(client), "-ERR Connection reset by peer\r\n");
    stage.say(client, get(&key));
    let old = stage.link(1);
    stage.apply(moved(settings(), 1));
    stage.hang_up(old, Cause::Reset);
    assert!(stage.is_live(1));
    assert_eq!(stage.hear(client), "-ERR Connection reset by peer\r\n");
}

#[test]
fn a_probe_of_where_a_server_was_takes_nobody_back() {
    let mut settings = redis_pool(2);
    settings.auto_eject_hosts = true;
    settings.server_retry_timeout = millis(100);
    let mut stage = Stage::new(settings.clone());
    stage.eject(1);
    stage.set_connect_result(1, ConnectResult::Silent);
    stage.wait(150);
    let probe = stage.link(1);
    stage.apply(moved(settings.clone(), 1));
    assert!(!stage.is_open(probe) && stage.is_live(1));
}

#[test]
fn ejection_that_is_turned_off_takes_everybody_back() {
    let mut settings = redis_pool(2);
    settings.auto_eject_hosts = true;
    settings.failure.eject = EjectPolicy::Error;
    let mut stage = Stage::new(settings.clone());
    stage.eject(1);
    settings.auto_eject_hosts = false;
    stage.apply(settings);
    assert!(stage.is_live(1));
    let client = stage.client();
    let key = stage.key(1);
    assert_eq!(stage.ask(client, get(&key)), REFUSED);
}
