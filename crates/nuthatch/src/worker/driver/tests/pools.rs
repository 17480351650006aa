//! Pools come and go.

use super::*;

/// Another pool in the slot of the world's.
fn next_pool(world: &World) -> Arc<PoolShare> {
    let memory = Arc::new(Memory::new(0));
    let core = proxy::PoolShare::new(settings(), None, &memory, 1);
    let id = world.share.id().successor();
    Arc::new(PoolShare::new(id, core, false, usize::MAX))
}

#[test]
fn a_removed_pool_answers_what_it_has_and_takes_its_connections_along() {
    let mut world = calm_world();
    let (busy, idle) = (world.client(), world.client());
    world.hung = true;
    busy.borrow_mut().send(&get("k:1"));
    world.settle();
    let end = world.now + 3 * LINGER;
    world.driver.remove_pool(world.share.id(), end);
    world.settle();
    assert!(!busy.borrow().closed, "it waits for its reply");
    world.hung = false;
    world.settle();
    assert!(busy.borrow().outbound == reply_to("k:1"));
    busy.borrow_mut().end(false);
    idle.borrow_mut().end(false);
    world.settle();
    world.pass(Duration::from_millis(1));
    assert!(busy.borrow().closed && idle.borrow().closed);
    assert_eq!(world.counts.current(), 0, "its server connections are gone");

    let next = next_pool(&world);
    let old = std::mem::replace(&mut world.share, next);
    let context = WorkerContext { worker: 0, seed: 1 };
    world.driver.add_pool(Arc::clone(&world.share), context);
    let client = world.client();
    client.borrow_mut().send(&get("k:2"));
    world.settle();
    assert!(client.borrow().outbound == reply_to("k:2"));
    // It was accepted for the pool that is gone.
    let new = std::mem::replace(&mut world.share, old);
    let late = world.client();
    assert_eq!((world.counts.clients(), new.clients()), (1, 1));
    late.borrow_mut().send(&get("k:3"));
    world.settle();
    assert!(late.borrow().outbound.is_empty());
}

#[test]
fn a_removed_pool_whose_server_hangs_is_closed_when_its_time_is_up() {
    let mut world = calm_world();
    let client = world.client();
    world.hung = true;
    client.borrow_mut().send(&get("k:1"));
    world.settle();
    let end = world.now + 3 * LINGER;
    world.driver.remove_pool(world.share.id(), end);
    world.pass(3 * LINGER - Duration::from_millis(1));
    assert!(!client.borrow().closed);
    assert!(world.driver.timeout() <= Some(Duration::from_millis(1)));
    world.pass(Duration::from_millis(1));
    assert_eq!(world.counts.current(), 0);
    assert_eq!(world.driver.timeout(), None);
}
