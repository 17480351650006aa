//! Requests about the pool and its clients.

use std::collections::HashSet;

use redis_proto::command::{Action as CommandAction, LocalCommand};

use super::decision::request_of;
use super::state::Redis;
use super::{client_kill, client_list, config, introspect, own, pubsub, slow_log};
use crate::protocol::decision;
use crate::protocol::report::{PoolView, Report};

impl Report for Redis {
    fn report(
        &self,
        request: decision::Request<'_, Self>,
        pool: &mut PoolView<'_, Self::Client>,
        out: &mut Vec<u8>,
    ) {
        let request = request_of(request);
        let Ok(command) = self.find_command(&request) else {
            return;
        };
        let local = match command.action {
            CommandAction::Local(local) => local,
            CommandAction::PubSub(asked) => return pubsub::report(asked, &request, pool, out),
            _ => return,
        };
        match local {
            LocalCommand::Info => introspect::info(&request, pool, out),
            LocalCommand::Client => {
                let cross_shard = self.settings.cross_shard;
                match command.sub_name() {
                    "info" => client_list::info(pool, cross_shard, out),
                    _ => client_list::list(&request, pool, cross_shard, out),
                }
            }
            LocalCommand::Config => config::get(&request, pool, out),
            LocalCommand::Memory => own::memory_stats(pool, out),
            LocalCommand::Slowlog => slow_log::answer(command, &request, pool, out),
            LocalCommand::Time => own::time(pool, out),
            LocalCommand::Lastsave => own::last_save(pool, out),
            _ => {}
        }
    }

    fn victims(
        &self,
        request: decision::Request<'_, Self>,
        pool: &mut PoolView<'_, Self::Client>,
        out: &mut Vec<u8>,
    ) -> HashSet<u64> {
        client_kill::victims(&request_of(request), pool, out)
    }
}
