//! What becomes of subscriptions when servers fail, channels move, and subscribers do not read.

use hashkit::Distribution;
use proxy::Cause;
use proxy::metrics::{PoolMetric, ServerMetric};
use proxy::settings::{EjectPolicy, PoolSettings};

use crate::plans::moved;
use crate::pubsub::{confirmed, message, subscribe, subscriber};
use crate::stage::{ConnectResult, Stage, millis, redis_pool};
use crate::words::{PING, REFUSED, TIMED_OUT, ejected, redis};

fn ejecting(servers: usize, policy: EjectPolicy) -> PoolSettings {
    let mut settings = redis_pool(servers);
    settings.auto_eject_hosts = true;
    settings.failure.eject = policy;
    settings.failure.probe = false;
    settings
}

fn gaps(stage: &Stage) -> (i64, usize) {
    let logged = stage.log.iter();
    let logged = logged.filter(|line| line.contains("may have been missed"));
    (stage.count(PoolMetric::SubscriptionGaps), logged.count())
}

/// Time passes, in which the server sends something now and then.
fn pass(stage: &mut Stage, links: &[usize], seconds: u64) {
    for _ in 0..seconds {
        stage.wait(1_000);
        let open: Vec<usize> = links
            .iter()
            .copied()
            .filter(|it| stage.is_open(*it))
            .collect();
        for link in open {
            stage.answer(link, message("nobody's", "m"));
        }
    }
}

/// A server is asked for the channel and confirms it; then its messages reach the client.
fn resume(stage: &mut Stage, client: usize, server: usize, channel: &str) -> usize {
    let link = stage.link(server);
    assert_eq!(stage.heard(link), redis(&["SUBSCRIBE", channel]));
    stage.answer(link, confirmed("subscribe", channel, 1));
    stage.answer(link, message(channel, "again"));
    assert_eq!(stage.hear(client), message(channel, "again"));
    link
}

#[test]
fn after_a_loss_a_channel_is_subscribed_to_again_and_the_gap_is_told_once() {
    let (mut stage, client, link, channel) = subscriber(redis_pool(1));
    stage.wait(2_000);
    stage.hang_up(link, Cause::Reset);
    assert_eq!(gaps(&stage), (1, 1));
    resume(&mut stage, client, 0, &channel);
    assert_eq!(stage.hear(client), "", "the client is not told");
    assert_eq!(stage.opened(0), [0.0, 2_000.0], "at once");
}

#[test]
fn a_server_that_stays_away_is_tried_less_and_less_often() {
    let (mut stage, client, link, channel) = subscriber(redis_pool(1));
    stage.wait(2_000);
    stage.set_connect_result(0, ConnectResult::Refusing);
    stage.hang_up(link, Cause::Closed);
    stage.wait(8_000);
    let expected = [
        0., 2_000., 2_100., 2_300., 2_700., 3_500., 5_100., 7_100., 9_100.,
    ];
    assert_eq!(stage.opened(0), expected);
    // Another one is told at once, without an attempt of its own.
    let other = stage.client();
    assert_eq!(stage.ask(other, redis(&["SUBSCRIBE", "new"])), REFUSED);
    assert_eq!(stage.opened(0), expected);
    stage.set_connect_result(0, ConnectResult::Open);
    stage.wait(2_000);
    resume(&mut stage, client, 0, &channel);
    assert_eq!(gaps(&stage), (1, 1));
}

#[test]
fn who_waits_for_a_confirmation_is_told_that_the_server_is_lost() {
    let (mut stage, client, link, channel) = subscriber(redis_pool(1));
    let other = stage.client();
    stage.say(other, redis(&["SUBSCRIBE", &channel, "d"]));
    stage.hang_up(link, Cause::Reset);
    assert_eq!(stage.hear(other), "-ERR Connection reset by peer\r\n");
    assert_eq!(stage.ask(other, PING), "+PONG\r\n", "it is not restricted");
    // Whoever is subscribed goes on.
    stage.wait(100);
    let link = stage.link(0);
    let asked = stage.heard(link);
    assert_eq!(asked, redis(&["SUBSCRIBE", &channel]), "nobody wants d");
    stage.answer(
        link,
        confirmed("subscribe", &channel, 1) + &message(&channel, "m"),
    );
    assert_eq!(stage.hear(client), message(&channel, "m"));
    assert_eq!(stage.hear(other), "");
}

#[test]
fn a_subscription_that_no_server_can_have_is_refused_at_once() {
    let mut stage = Stage::new(redis_pool(1));
    stage.set_connect_result(0, ConnectResult::Refusing);
    let client = stage.client();
    assert_eq!(stage.ask(client, redis(&["SUBSCRIBE", "c"])), REFUSED);
    assert_eq!(stage.ask(client, redis(&["PSUBSCRIBE", "c"])), REFUSED);
    assert_eq!(stage.count(PoolMetric::Subscriptions), 0);

    let mut stage = Stage::new(ejecting(2, EjectPolicy::Error));
    stage.eject(1);
    let (client, key) = (stage.client(), stage.key(1));
    assert_eq!(stage.ask(client, redis(&["SUBSCRIBE", &key])), ejected(1));
    stage.eject(0);
    let none = "-ERR Connection refused\r\n";
    assert_eq!(stage.ask(client, redis(&["PSUBSCRIBE", "*"])), none);
}

#[test]
fn a_server_that_does_not_confirm_is_late() {
    let mut settings = redis_pool(1);
    settings.timeout = Some(millis(300));
    let mut stage = Stage::new(settings);
    let client = stage.client();
    stage.say(client, redis(&["SUBSCRIBE", "c"]));
    stage.wait(299);
    assert_eq!(stage.hear(client), "");
    stage.wait(2);
    assert_eq!(stage.hear(client), TIMED_OUT);
    assert_eq!(stage.links(0), []);
}

/// Messages that are lost cannot be told from messages that are not sent.
#[test]
fn a_silent_server_is_asked_whether_it_is_there() {
    let (mut stage, client, link, channel) = subscriber(redis_pool(1));
    stage.wait(9_999);
    assert_eq!(stage.heard(link), "");
    stage.wait(1);
    assert_eq!(stage.heard(link), PING);
    stage.answer(link, "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
    stage.wait(5_000);
    stage.answer(link, message(&channel, "m"));
    assert_eq!(stage.hear(client), message(&channel, "m"));
    stage.wait(5_001);
    assert_eq!(stage.heard(link), "", "it was heard meanwhile");
    stage.wait(5_000);
    assert_eq!(stage.heard(link), PING);
    stage.wait(5_000);
    assert!(!stage.is_open(link));
    assert_eq!(gaps(&stage), (1, 1));
    resume(&mut stage, client, 0, &channel);
}

/// As with any idle connection.
#[test]
fn a_server_that_closes_a_subscriber_connection_in_order_has_not_failed() {
    for (cause, is_live) in [(Cause::Closed, true), (Cause::Reset, false)] {
        let (mut stage, _client, link, _) = subscriber(ejecting(2, EjectPolicy::Remap));
        stage.hang_up(link, cause.clone());
        assert_eq!(stage.is_live(0), is_live, "{cause:?}");
    }
}

#[test]
fn a_server_that_closes_before_it_has_answered_has_failed() {
    for is_connected in [false, true] {
        let mut stage = Stage::new(ejecting(2, EjectPolicy::Remap));
        let (client, channel) = (stage.client(), stage.key(0));
        if !is_connected {
            stage.set_connect_result(0, ConnectResult::Silent);
        }
        stage.say(client, redis(&["SUBSCRIBE", &channel]));
        let link = stage.link(0);
        stage.hang_up(link, Cause::Closed);
        assert_eq!(stage.hear(client), "-ERR unknown\r\n");
        assert!(!stage.is_live(0), "connected: {is_connected}");
    }
}

#[test]
fn what_is_no_frame_of_a_subscription_ends_the_connection() {
    for odd in [
        "+OK\r\n",
        "*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n",
        "-ERR unasked\r\n",
        "?\r\n",
        "*2\r\n$4\r\npong\r\n$0\r\n\r\n",
    ] {
        let (mut stage, client, link, channel) = subscriber(redis_pool(1));
        stage.wait(5_000);
        stage.answer(link, odd);
        assert!(!stage.is_open(link), "{odd}");
        assert_eq!(stage.count_at(0, ServerMetric::ServerErr), 1);
        resume(&mut stage, client, 0, &channel);
    }
}

#[test]
fn a_channel_moves_with_its_server_s_keys_and_back() {
    let (mut stage, client, old, channel) = subscriber(ejecting(2, EjectPolicy::Remap));
    // The connection for messages is well; one for requests fails.
    stage.set_connect_result(0, ConnectResult::Refusing);
    let victim = stage.client();
    stage.say(victim, redis(&["GET", &channel]));
    assert!(!stage.is_live(0));
    assert_eq!(stage.heard(old), redis(&["UNSUBSCRIBE", &channel]));
    assert_eq!(gaps(&stage), (1, 1));
    let link = stage.links(1)[0];
    assert_eq!(stage.heard(link), redis(&["SUBSCRIBE", &channel]));
    stage.answer(link, confirmed("subscribe", &channel, 1));
    stage.answer(
        old,
        message(&channel, "old") + &confirmed("unsubscribe", &channel, 0),
    );
    stage.answer(link, message(&channel, "new"));
    assert_eq!(stage.hear(client), message(&channel, "new"));
    stage.set_connect_result(0, ConnectResult::Open);
    pass(&mut stage, &[old, link], 31);
    assert!(stage.is_live(0));
    assert_eq!(stage.heard(link), redis(&["UNSUBSCRIBE", &channel]));
    resume(&mut stage, client, 0, &channel);
    assert_eq!(gaps(&stage), (2, 2));
}

#[test]
fn a_channel_whose_server_is_ejected_and_keeps_its_keys_waits_for_it() {
    let (mut stage, client, link, channel) = subscriber(ejecting(2, EjectPolicy::Error));
    stage.set_connect_result(0, ConnectResult::Refusing);
    stage.hang_up(link, Cause::Reset);
    assert!(!stage.is_live(0));
    stage.wait(29_000);
    assert_eq!(stage.links(1), []);
    stage.set_connect_result(0, ConnectResult::Open);
    stage.wait(2_000);
    resume(&mut stage, client, 0, &channel);
    assert_eq!(gaps(&stage), (1, 1));
}

#[test]
fn an_ejection_by_another_worker_is_noticed_within_a_second() {
    let mut stage = Stage::with_workers(ejecting(2, EjectPolicy::Remap), 2, 7);
    let (client, channel) = (stage.client(), stage.key(0));
    let old = subscribe(&mut stage, client, &channel);
    stage.set_connect_result(0, ConnectResult::Refusing);
    let victim = stage.client_of(1);
    assert_eq!(stage.ask(victim, redis(&["GET", &channel])), REFUSED);
    assert_eq!(stage.heard(old), "");
    stage.wait(1_000);
    assert_eq!(stage.heard(old), redis(&["UNSUBSCRIBE", &channel]));
    resume(&mut stage, client, 1, &channel);
}

#[test]
fn a_failover_pool_serves_the_channels_of_ejected_servers() {
    let mut settings = ejecting(1, EjectPolicy::Remap);
    settings.failure.eject = EjectPolicy::Remap;
    let mut stage = Stage::with_failover(settings, Some(redis_pool(1)), 1, 7);
    let (client, channel) = (stage.client(), stage.key(0));
    let link = subscribe(&mut stage, client, &channel);
    stage.set_connect_result(0, ConnectResult::Refusing);
    stage.hang_up(link, Cause::Reset);
    stage.wait(0);
    resume(&mut stage, client, 1, &channel);
    // So are messages that are published meanwhile, which have no time to live that could be limited.
    let other = stage.client();
    let publish = redis(&["PUBLISH", &channel, "m"]);
    stage.say(other, &publish);
    let requests = stage.links(1)[1];
    stage.answer(
        requests,
        "-ERR GT and LT options at the same time are not compatible\r\n",
    );
    assert!(stage.heard(requests).ends_with(&publish));
}

#[test]
fn channels_follow_their_servers_when_plans_change() {
    // It has another address.
    let (mut stage, client, link, channel) = subscriber(redis_pool(2));
    stage.apply(moved(redis_pool(2), 0));
    assert!(!stage.is_open(link));
    resume(&mut stage, client, 0, &channel);
    assert_eq!(gaps(&stage), (1, 1));
    // It has left.
    let mut stage = Stage::new(redis_pool(2));
    let (client, channel) = (stage.client(), stage.key(1));
    let request = redis(&["SUBSCRIBE", &channel]);
    stage.say(client, &request);
    let link = stage.link(1);
    stage.heard(link);
    stage.answer(link, confirmed("subscribe", &channel, 1));
    stage.hear(client);
    stage.apply(redis_pool(1));
    assert!(!stage.is_open(link));
    resume(&mut stage, client, 0, &channel);
    // There is a further one, which has what is everywhere.
    stage.say(client, redis(&["PSUBSCRIBE", "p*"]));
    let first = stage.link(0);
    stage.heard(first);
    stage.answer(first, confirmed("psubscribe", "p*", 2));
    assert_eq!(stage.hear(client), confirmed("psubscribe", "p*", 2));
    stage.apply(redis_pool(2));
    let links: Vec<usize> = (1..3).flat_map(|server| stage.links(server)).collect();
    let asked: String = links.iter().map(|link| stage.heard(*link)).collect();
    assert!(asked.contains(&redis(&["PSUBSCRIBE", "p*"])), "{asked}");
}

#[test]
fn with_a_random_distribution_a_channel_is_at_every_server() {
    let mut settings = redis_pool(2);
    settings.placement.distribution = Distribution::Random;
    let mut stage = Stage::new(settings);
    let client = stage.client();
    let request = redis(&["SUBSCRIBE", "c"]);
    stage.say(client, &request);
    for server in 0..2 {
        let link = stage.link(server);
        assert_eq!(stage.heard(link), request);
        stage.answer(link, confirmed("subscribe", "c", 1));
    }
    assert_eq!(stage.hear(client), confirmed("subscribe", "c", 1));
}

#[test]
fn a_subscriber_that_does_not_read_is_closed_and_others_go_on() {
    let mut settings = redis_pool(1);
    settings.clients.min_rate = 0;
    let (mut stage, slow, link, channel) = subscriber(settings);
    let quick = stage.client();
    stage.ask(quick, redis(&["SUBSCRIBE", &channel]));
    let large = message(&channel, &"m".repeat(1 << 20));
    // Up to 32 MiB may be unread.
    for count in 0..31 {
        stage.answer(link, &large);
        assert_eq!(stage.hear(quick).len(), large.len(), "{count}");
    }
    assert!(!stage.is_closed(slow));
    stage.answer(link, &large);
    assert!(stage.is_closed(slow));
    assert_eq!(stage.hear(quick).len(), large.len());
    assert_eq!(stage.count(PoolMetric::SubscribersClosed), 1);
    assert!(
        stage
            .log
            .iter()
            .any(|line| line.contains("messages are unread"))
    );
    // More than 8 MiB for a minute.
    let slow = stage.client();
    stage.ask(slow, redis(&["SUBSCRIBE", &channel]));
    for _ in 0..9 {
        stage.answer(link, &large);
    }
    pass(&mut stage, &[link], 59);
    stage.answer(link, message(&channel, "m"));
    assert!(!stage.is_closed(slow));
    pass(&mut stage, &[link], 1);
    stage.answer(link, message(&channel, "m"));
    assert!(stage.is_closed(slow));
}

#[test]
fn a_subscriber_that_reads_may_be_behind_for_a_while() {
    let mut settings = redis_pool(1);
    settings.clients.min_rate = 0;
    let (mut stage, client, link, channel) = subscriber(settings);
    let large = message(&channel, &"m".repeat(1 << 20));
    for _ in 0..3 {
        for _ in 0..9 {
            stage.answer(link, &large);
        }
        pass(&mut stage, &[link], 50);
        stage.hear(client);
        stage.answer(link, message(&channel, "m"));
    }
    assert!(!stage.is_closed(client));
}

#[test]
fn a_message_that_nobody_may_get_closes_its_subscribers() {
    let (mut stage, client, link, channel) = subscriber(redis_pool(1));
    let other = stage.client();
    stage.ask(other, redis(&["SUBSCRIBE", "other"]));
    stage.heard(link);
    stage.answer(link, confirmed("subscribe", "other", 2));
    let huge = message(&channel, &"m".repeat(33 << 20));
    for piece in huge.as_bytes().chunks(1 << 20) {
        stage.answer(link, piece);
        assert!(stage.held() < 70 << 20);
    }
    assert!(stage.is_closed(client) && !stage.is_closed(other));
    stage.answer(link, message("other", "m"));
    assert!(stage.hear(other).ends_with(&message("other", "m")));
}

#[test]
fn many_subscribers_share_the_bytes_of_a_large_message() {
    let (mut stage, _, link, channel) = subscriber(redis_pool(1));
    for _ in 0..999 {
        let client = stage.client();
        stage.ask(client, redis(&["SUBSCRIBE", &channel]));
    }
    let before = stage.held();
    // A message among others in what was read.
    let large = message(&channel, &"m".repeat(10 << 10));
    let read = message("nobody's", &"x".repeat(60 << 10)) + &large;
    stage.answer(link, &read);
    let held = stage.held() - before;
    assert!(held < 1_000 * 700, "{held} bytes, not 10 MiB");
    assert_eq!(stage.hear(0), large);
}

#[test]
fn subscribers_may_be_idle_and_others_may_not() {
    let mut settings = redis_pool(1);
    settings.failure.client_idle_timeout = Some(millis(60_000));
    let (mut stage, client, link, channel) = subscriber(settings);
    let idle = stage.client();
    pass(&mut stage, &[link], 100);
    assert!(stage.is_closed(idle) && !stage.is_closed(client));
    stage.say(client, redis(&["UNSUBSCRIBE", &channel]));
    stage.hear(client);
    stage.wait(80_000);
    assert!(stage.is_closed(client));
}

#[test]
fn a_client_that_asks_for_too_much_is_refused() {
    let mut stage = Stage::new(redis_pool(1));
    let client = stage.client();
    let name = "n".repeat(60 << 10);
    let names: Vec<String> = (0..140).map(|number| format!("{name}{number}")).collect();
    let words: Vec<&str> = names.iter().map(String::as_str).collect();
    let reply = stage.ask(client, redis(&[&["SUBSCRIBE"][..], &words].concat()));
    assert!(reply.starts_with("-ERR too many subscriptions"), "{reply}");
    assert_eq!(stage.links_ever(0), 0);
    assert_eq!(stage.ask(client, PING), "+PONG\r\n");
}
