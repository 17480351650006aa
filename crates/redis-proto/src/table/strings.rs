//! Strings, bitmaps and HyperLogLogs (which are stored as strings).

use super::row::*;

pub(super) const ROWS: &[Command] = &[
    // Strings.
    write("append", Exact(3), KEY).legacy().small(),
    write("decr", Exact(2), KEY).legacy().small(),
    write("decrby", Exact(3), KEY).legacy().small(),
    write("delex", AtLeast(2), KEY),
    write("delifeq", Exact(3), KEY),
    read("digest", Exact(2), KEY),
    read("get", Exact(2), KEY).legacy(),
    write("getdel", Exact(2), KEY).legacy(),
    write("getex", AtLeast(2), KEY).legacy(),
    read("getrange", Exact(4), KEY).legacy(),
    write("getset", Exact(3), KEY).legacy(),
    write("incr", Exact(2), KEY).legacy().small(),
    write("incrby", Exact(3), KEY).legacy().small(),
    write("incrbyfloat", Exact(3), KEY).legacy().small(),
    write("increx", AtLeast(2), KEY),
    read("lcs", AtLeast(3), TWO).long(),
    read("mget", AtLeast(2), EVERY)
        .legacy()
        .action(Action::Split(Join::Array)),
    write("mset", Pairs, EVERY_PAIR)
        .legacy()
        .action(Action::Split(Join::Ok))
        .small(),
    write("msetex", AtLeast(4), COUNTED_PAIRS)
        .action(Action::Split(Join::Least))
        .small(),
    write("msetnx", Pairs, EVERY_PAIR).small(),
    write("psetex", Exact(4), KEY).legacy().small(),
    write("set", AtLeast(2), KEY).legacy().small(),
    write("setex", Exact(4), KEY).legacy().small(),
    write("setnx", Exact(3), KEY).legacy().small(),
    write("setrange", Exact(4), KEY).legacy().small(),
    read("strlen", Exact(2), KEY).legacy().small(),
    read("substr", Exact(4), KEY),
    // Bitmaps.
    read("bitcount", AtLeast(2), KEY).legacy().long(),
    write("bitfield", AtLeast(2), KEY).legacy(),
    read("bitfield_ro", AtLeast(2), KEY),
    write("bitop", AtLeast(4), range(2, -1, 1)).long(),
    read("bitpos", AtLeast(2), KEY).legacy().long(),
    read("bitrangeintarray", AtLeast(4), KEY),
    read("getbit", Exact(3), KEY).legacy().small(),
    write("setbit", Exact(4), KEY).legacy().small(),
    // HyperLogLogs.
    write("pfadd", AtLeast(2), KEY).legacy().small(),
    read("pfcount", AtLeast(2), EVERY).legacy().small(),
    write("pfmerge", AtLeast(2), EVERY).legacy().small(),
];

/// `numkeys key value [key value ...]`
const COUNTED_PAIRS: Keys = Keys::Counted {
    dest: 0,
    count_at: 1,
    first: 2,
    step: 2,
    wording: Wording::Plain,
};
