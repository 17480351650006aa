//! What workers ask each other about the clients of a pool.

use std::sync::Arc;

use proxy::Question;

use super::state::Driver;
use crate::pool::PoolId;
use crate::worker::net::{Net, Word};

impl<N: Net> Driver<N> {
    /// The core of a pool asks the other workers. One that takes no message now cannot answer.
    pub(super) fn ask_workers(&mut self, pool: PoolId, question: &Arc<Question>) {
        let workers = 0..self.pools[pool].share.core().workers();
        for worker in workers.filter(|worker| question.is_for(*worker)) {
            let word = Word::Ask(pool, Arc::clone(question));
            if !self.net.tell(worker, word) {
                self.handle_answer(pool, question.number(), None);
            }
        }
    }

    /// Another worker has told something.
    pub(in crate::worker) fn hear(&mut self, word: Word) {
        match word {
            Word::Ask(pool, question) => self.answer_question(pool, &question),
            Word::Answer(pool, question, answer) => {
                self.handle_answer(pool, question, Some(answer));
            }
        }
    }

    /// Another worker asks. Where the pool is not there, or not there any more, it has no clients.
    fn answer_question(&mut self, pool: PoolId, question: &Question) {
        let now = self.now;
        let answer = match self.pools.get(pool) {
            None => Vec::new(),
            Some(_) => {
                self.touch(pool);
                self.part(pool).core.answer_question(question, now)
            }
        };
        // If that worker takes no message now, its client is told so in time.
        let word = Word::Answer(pool, question.number(), answer);
        self.net.tell(question.worker(), word);
    }

    /// Another worker has answered, or cannot.
    fn handle_answer(&mut self, pool: PoolId, question: u64, answer: Option<Vec<u8>>) {
        if self.pools.get(pool).is_some() {
            let now = self.now;
            self.touch(pool);
            self.part(pool).core.handle_answer(question, answer, now);
        }
    }
}
