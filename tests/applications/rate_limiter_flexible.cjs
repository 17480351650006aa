// rate-limiter-flexible, on ioredis and on memcached of npm.
'use strict';

const assert = require('node:assert/strict');
const { PORT, VARIANT, version, note, section, run } = require('../clients/matrix/sections.cjs');
const { RateLimiterMemcache, RateLimiterRedis } = require('rate-limiter-flexible');

run(async () => {
  version(`rate-limiter-flexible ${require('rate-limiter-flexible/package.json').version}`);
  note('none: each command has one key');
  const settings = { points: 5, duration: 100, blockDuration: 50 };
  let limiter;
  if (VARIANT === 'memcached') {
    const Memcached = require('memcached');
    limiter = new RateLimiterMemcache({ storeClient: new Memcached(`127.0.0.1:${PORT}`), ...settings });
  } else {
    const Redis = require('ioredis');
    limiter = new RateLimiterRedis({ storeClient: new Redis(PORT), ...settings });
  }

  await section('five of seven', async () => {
    const outcomes = [];
    for (let attempt = 0; attempt < 7; attempt += 1) {
      outcomes.push(await limiter.consume('someone').then(() => true, (refusal) => refusal instanceof Error ? refusal : false));
    }
    assert.deepEqual(outcomes, [true, true, true, true, true, false, false]);
    assert.equal((await limiter.consume('another')).remainingPoints, 4);
    assert.equal((await limiter.get('another')).consumedPoints, 1);
    await limiter.delete('someone');
    assert.equal((await limiter.consume('someone')).remainingPoints, 4);
  });
});
