//! Requests about the pool and its clients.

use redis_proto::command::{Action as CommandAction, Admin, LocalCommand};

use super::decision::request_of;
use super::state::Redis;
use super::{client_list, client_pause, config, hot_keys, introspect, own, slow_log, workers};
use crate::protocol::decision::{self, Decider};
use crate::protocol::report::{Deed, PoolView, Report, WorkerView};

impl Report for Redis {
    fn report(
        &self,
        request: decision::Request<'_, Self>,
        pool: &PoolView<'_, Self::Client>,
        out: &mut Vec<u8>,
    ) {
        let request = request_of(request);
        let Ok(command) = self.find_command(&request) else {
            return;
        };
        let local = match command.action {
            CommandAction::Local(local) => local,
            CommandAction::Admin(Admin::HotKeys) => {
                return hot_keys::answer(command, &request, pool, out);
            }
            _ => return,
        };
        match local {
            LocalCommand::Info => introspect::info(&request, pool, out),
            LocalCommand::Client => client_list::info(pool, self.settings.cross_shard, out),
            LocalCommand::Config => config::get(&request, pool, out),
            LocalCommand::Memory => own::memory_stats(pool, out),
            LocalCommand::Slowlog => slow_log::answer(command, &request, pool, out),
            LocalCommand::HotKeys => hot_keys::answer(command, &request, pool, out),
            LocalCommand::Time => own::time(pool, out),
            LocalCommand::Lastsave => own::last_save(pool, out),
            _ => {}
        }
    }

    fn question(request: decision::Request<'_, Self>, out: &mut Vec<u8>) {
        workers::question(&request_of(request), out);
    }

    fn part(
        &self,
        request: decision::Request<'_, Self>,
        asker: u64,
        worker: &mut WorkerView<'_, Self::Client>,
        out: &mut Vec<u8>,
    ) -> Deed {
        workers::part(self, &request_of(request), asker, worker, out)
    }

    fn joined(
        &self,
        request: decision::Request<'_, Self>,
        asker: &Self::Client,
        parts: &[Vec<u8>],
        out: &mut Vec<u8>,
    ) {
        workers::joined(self, &request_of(request), asker.version, parts, out);
    }

    fn waits_for_pause(
        &self,
        request: decision::Request<'_, Self>,
        client: &Self::Client,
        writes_only: bool,
    ) -> bool {
        let found = self.find_command(&request_of(request)).ok();
        found.is_some_and(|command| {
            !self.must_authenticate(client) && client_pause::waits(command, client, writes_only)
        })
    }
}
