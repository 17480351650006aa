//! Encoded messages parse to what was encoded, and a request that is cut anywhere is complete only at its
//! end.

use proptest::collection::vec;
use proptest::prelude::*;
use redis_proto::{Progress, RequestLimits, RequestParser, encode};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn an_encoded_command_is_read_back(args in vec(vec(any::<u8>(), 0..300), 1..40)) {
        let mut text = Vec::new();
        let slices: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        encode::command(&mut text, &slices);
        let mut parser = RequestParser::default();
        let progress = parser.parse(&RequestLimits::default(), &text);
        prop_assert_eq!(progress, Ok(Progress::Complete { len: text.len() }));
        let read: Vec<&[u8]> = parser.args().iter().map(|arg| arg.bytes(&text).unwrap()).collect();
        prop_assert_eq!(read, slices);
    }

    #[test]
    fn a_request_cut_at_every_byte_is_complete_only_at_its_end(
        args in vec(vec(any::<u8>(), 0..12), 1..6)
    ) {
        let mut text = Vec::new();
        encode::command(&mut text, &args.iter().map(Vec::as_slice).collect::<Vec<_>>());
        for cut in 0..text.len() {
            let mut parser = RequestParser::default();
            let limits = RequestLimits::default();
            prop_assert_eq!(parser.parse(&limits, &text[..cut]), Ok(Progress::Partial));
            let progress = parser.parse(&limits, &text);
            prop_assert_eq!(progress, Ok(Progress::Complete { len: text.len() }));
        }
    }
}
