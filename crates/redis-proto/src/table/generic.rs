//! Commands on keys of any type, and scripts.

use super::row::*;

pub(super) const KEYS: &[Command] = &[
    write("copy", AtLeast(2), TWO).legacy().long(),
    write("del", AtLeast(2), EVERY)
        .legacy()
        .action(Action::Split(Join::Sum))
        .small(),
    read("dump", Exact(2), KEY).legacy(),
    read("exists", AtLeast(2), EVERY)
        .legacy()
        .action(Action::Split(Join::Sum))
        .small(),
    write("expire", AtLeast(3), KEY).legacy().small(),
    write("expireat", AtLeast(3), KEY).legacy().small(),
    read("expiretime", Exact(2), KEY).small(),
    write("persist", Exact(2), KEY).legacy().small(),
    write("pexpire", AtLeast(3), KEY).legacy().small(),
    write("pexpireat", AtLeast(3), KEY).legacy().small(),
    read("pexpiretime", Exact(2), KEY).small(),
    read("pttl", Exact(2), KEY).legacy().small(),
    write("rename", Exact(3), TWO).small(),
    write("renamenx", Exact(3), TWO).small(),
    write("restore", AtLeast(2), KEY).legacy().small(),
    write("sort", AtLeast(2), Keys::Sort).legacy().long(),
    read("sort_ro", AtLeast(2), Keys::SortReadOnly).long(),
    read("touch", AtLeast(2), EVERY)
        .legacy()
        .action(Action::Split(Join::Sum))
        .small(),
    read("ttl", Exact(2), KEY).legacy().small(),
    read("type", Exact(2), KEY).legacy().small(),
    write("unlink", AtLeast(2), EVERY)
        .legacy()
        .action(Action::Split(Join::Sum))
        .small(),
];

/// The effect of a script is unknown, so without `_ro` it counts as a write.
pub(super) const SCRIPTS: &[Command] = &[
    write("eval", AtLeast(3), counted(2, Wording::Script))
        .legacy()
        .flag(Flags::SCRIPT),
    read("eval_ro", AtLeast(3), counted(2, Wording::Script)).flag(Flags::SCRIPT),
    write("evalsha", AtLeast(3), counted(2, Wording::Script))
        .legacy()
        .flag(Flags::SCRIPT),
    read("evalsha_ro", AtLeast(3), counted(2, Wording::Script)).flag(Flags::SCRIPT),
    write("fcall", AtLeast(3), counted(2, Wording::Function)).flag(Flags::SCRIPT),
    read("fcall_ro", AtLeast(3), counted(2, Wording::Function)).flag(Flags::SCRIPT),
];
