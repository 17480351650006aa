//! Commands on keys of any type, and scripts.

use super::row::*;

pub(super) const KEYS: &[Command] = &[
    write("copy", AtLeast(2), TWO).legacy(),
    write("del", AtLeast(2), EVERY)
        .legacy()
        .action(Action::Split(Join::Sum)),
    read("dump", Exact(2), KEY).legacy(),
    read("exists", AtLeast(2), EVERY)
        .legacy()
        .action(Action::Split(Join::Sum)),
    write("expire", AtLeast(3), KEY).legacy(),
    write("expireat", AtLeast(3), KEY).legacy(),
    read("expiretime", Exact(2), KEY),
    write("persist", Exact(2), KEY).legacy(),
    write("pexpire", AtLeast(3), KEY).legacy(),
    write("pexpireat", AtLeast(3), KEY).legacy(),
    read("pexpiretime", Exact(2), KEY),
    read("pttl", Exact(2), KEY).legacy(),
    write("rename", Exact(3), TWO),
    write("renamenx", Exact(3), TWO),
    write("restore", AtLeast(2), KEY).legacy(),
    write("sort", AtLeast(2), Keys::Sort).legacy(),
    read("sort_ro", AtLeast(2), KEY),
    read("touch", AtLeast(2), EVERY)
        .legacy()
        .action(Action::Split(Join::Sum)),
    read("ttl", Exact(2), KEY).legacy(),
    read("type", Exact(2), KEY).legacy(),
    write("unlink", AtLeast(2), EVERY)
        .legacy()
        .action(Action::Split(Join::Sum)),
];

/// What a script does is not known, so without `_ro` it counts as a write.
pub(super) const SCRIPTS: &[Command] = &[
    write("eval", AtLeast(3), counted(2, Wording::Script)).legacy(),
    read("eval_ro", AtLeast(3), counted(2, Wording::Script)),
    write("evalsha", AtLeast(3), counted(2, Wording::Script)).legacy(),
    read("evalsha_ro", AtLeast(3), counted(2, Wording::Script)),
    write("fcall", AtLeast(3), counted(2, Wording::Function)),
    read("fcall_ro", AtLeast(3), counted(2, Wording::Function)),
];
