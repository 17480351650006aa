//! What workers ask each other.

use proxy::Question;

use super::Stage;

impl Stage {
    pub(super) fn ask_workers(&mut self, worker: usize, question: &Question) {
        let others = (0..self.workers.len()).filter(|other| question.is_for(*other));
        for other in others.collect::<Vec<_>>() {
            let now = self.time();
            let answer = match self.busy_workers {
                [Some(silent), _] if silent == other => continue,
                [_, Some(full)] if full == other => None,
                _ => {
                    let answer = self.workers[other].pool.answer_question(question, now);
                    self.drain(other);
                    Some(answer)
                }
            };
            let pool = &mut self.workers[worker].pool;
            pool.handle_answer(question.number(), answer, now);
        }
    }
}
