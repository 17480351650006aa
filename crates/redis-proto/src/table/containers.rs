//! Containers: commands whose first argument names a subcommand, which determines the keys.

use super::row::*;

pub(super) const ROWS: &[Command] = &[
    container("json.debug", JSON_DEBUG),
    container("memory", MEMORY),
    container("object", OBJECT),
    container("xgroup", XGROUP),
    container("xinfo", XINFO),
];

const JSON_DEBUG: &[Command] = &[read("json.debug|memory", AtLeast(3), SUB_KEY)];

const MEMORY: &[Command] = &[read("memory|usage", AtLeast(3), SUB_KEY)];

const OBJECT: &[Command] = &[
    read("object|encoding", Exact(3), SUB_KEY),
    read("object|freq", Exact(3), SUB_KEY),
    read("object|idletime", Exact(3), SUB_KEY),
    read("object|refcount", Exact(3), SUB_KEY),
];

const XGROUP: &[Command] = &[
    write("xgroup|create", AtLeast(5), SUB_KEY),
    write("xgroup|createconsumer", Exact(5), SUB_KEY),
    write("xgroup|delconsumer", Exact(5), SUB_KEY),
    write("xgroup|destroy", Exact(4), SUB_KEY),
    write("xgroup|setid", AtLeast(5), SUB_KEY),
];

const XINFO: &[Command] = &[
    read("xinfo|consumers", Exact(4), SUB_KEY),
    read("xinfo|groups", Exact(3), SUB_KEY),
    read("xinfo|stream", AtLeast(3), SUB_KEY),
];
