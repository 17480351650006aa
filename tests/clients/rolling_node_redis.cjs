// Four clients of node-redis with maintenance notifications until SIGTERM: node rolling_node_redis.cjs PORT.
// Nothing is retried, so that each error is seen. Prints what was done and seen, and fails if that is an error.
'use strict';

const { createClient } = require('redis');
const { version } = require('@redis/client/package.json');

const CLIENTS = 4;
const errors = [];
const addresses = new Set();
let requests = 0;
let isOver = false;
process.on('SIGTERM', () => { isOver = true; });

const sleep = (time) => new Promise((done) => { setTimeout(done, time); });

async function use(number, client) {
  const key = `node:${number}`;
  for (let value = 0; !isOver; value += 1) {
    try {
      await client.set(key, String(value));
      const got = await client.get(key);
      if (got !== String(value)) errors.push(`${got} instead of ${value}`);
      const info = await client.sendCommand(['CLIENT', 'INFO']);
      addresses.add(/ addr=(\S+)/.exec(String(info))[1]);
    } catch (error) {
      errors.push(String(error));
    }
    requests += 3;
    await sleep(2);
  }
}

async function main(port) {
  const clients = [];
  for (let number = 0; number < CLIENTS; number += 1) {
    const client = createClient({
      RESP: 3,
      socket: { host: '127.0.0.1', port, reconnectStrategy: false },
      maintNotifications: 'enabled',
      maintEndpointType: 'none',
    });
    client.on('error', (error) => errors.push(`event: ${error}`));
    clients.push(await client.connect());
  }
  console.log('started');
  await Promise.all(clients.map((client, number) => use(number, client)));
  console.log(`${version}: ${requests} requests, ${addresses.size} connections, ${errors.length} errors`);
  console.log(errors.slice(0, 5).join('\n'));
  // Each client was at a proxy that has ended.
  const haveMoved = addresses.size >= 2 * CLIENTS;
  console.log(errors.length === 0 && haveMoved && requests > 400 ? 'ok' : 'failed');
  process.exit(0);
}

main(Number(process.argv[2]));
