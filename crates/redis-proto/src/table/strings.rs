//! Strings, bitmaps and HyperLogLogs, which are kept in strings.

use super::row::*;

pub(super) const ROWS: &[Command] = &[
    // Strings.
    write("append", Exact(3), KEY).legacy(),
    write("decr", Exact(2), KEY).legacy(),
    write("decrby", Exact(3), KEY).legacy(),
    write("delex", AtLeast(2), KEY),
    write("delifeq", Exact(3), KEY),
    read("digest", Exact(2), KEY),
    read("get", Exact(2), KEY).legacy(),
    write("getdel", Exact(2), KEY).legacy(),
    write("getex", AtLeast(2), KEY).legacy(),
    read("getrange", Exact(4), KEY).legacy(),
    write("getset", Exact(3), KEY).legacy(),
    write("incr", Exact(2), KEY).legacy(),
    write("incrby", Exact(3), KEY).legacy(),
    write("incrbyfloat", Exact(3), KEY).legacy(),
    write("increx", AtLeast(2), KEY),
    read("lcs", AtLeast(3), TWO),
    read("mget", AtLeast(2), EVERY)
        .legacy()
        .action(Action::Split(Join::Array)),
    write("mset", Pairs, EVERY_PAIR)
        .legacy()
        .action(Action::Split(Join::Ok)),
    write("msetex", AtLeast(4), COUNTED_PAIRS),
    write("msetnx", Pairs, EVERY_PAIR),
    write("psetex", Exact(4), KEY).legacy(),
    write("set", AtLeast(2), KEY).legacy(),
    write("setex", Exact(4), KEY).legacy(),
    write("setnx", Exact(3), KEY).legacy(),
    write("setrange", Exact(4), KEY).legacy(),
    read("strlen", Exact(2), KEY).legacy(),
    read("substr", Exact(4), KEY),
    // Bitmaps.
    read("bitcount", AtLeast(2), KEY).legacy(),
    write("bitfield", AtLeast(2), KEY).legacy(),
    read("bitfield_ro", AtLeast(2), KEY),
    write("bitop", AtLeast(4), range(2, -1, 1)),
    read("bitpos", AtLeast(2), KEY).legacy(),
    read("getbit", Exact(3), KEY).legacy(),
    write("setbit", Exact(4), KEY).legacy(),
    // HyperLogLogs.
    write("pfadd", AtLeast(2), KEY).legacy(),
    read("pfcount", AtLeast(2), EVERY).legacy(),
    write("pfmerge", AtLeast(2), EVERY).legacy(),
];

/// `numkeys key value [key value ...]`
const COUNTED_PAIRS: Keys = Keys::Counted {
    dest: 0,
    count_at: 1,
    first: 2,
    step: 2,
    wording: Wording::Plain,
};
