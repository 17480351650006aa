// BullMQ: a queue, a worker in the same program, and the events of the queue.
'use strict';

const assert = require('node:assert/strict');
const { FlowProducer, Queue, QueueEvents, Worker } = require('bullmq');
const { PLACE, PORT, version, note, section, run } = require('../clients/matrix/sections.cjs');

run(async () => {
  version(`BullMQ ${require('bullmq/package.json').version}`);
  note('`prefix: "{bull}"`');
  const options = { connection: { host: '127.0.0.1', port: PORT } };
  if (PLACE === 'three') options.prefix = '{bull}';
  const queue = new Queue('jobs', options);
  const events = new QueueEvents('jobs', options);
  const worker = new Worker(
    'jobs',
    async (job) => {
      if (job.name === 'fail') throw new Error('as asked');
      return job.data.a + job.data.b;
    },
    { ...options, connection: { ...options.connection, maxRetriesPerRequest: null } },
  );
  for (const part of [queue, events, worker]) part.on('error', () => {});

  await section('jobs and their results', async () => {
    await events.waitUntilReady();
    const numbers = Array.from({ length: 20 }, (_, number) => number);
    const jobs = await queue.addBulk(numbers.map((a) => ({ name: 'add', data: { a, b: 1 } })));
    const results = await Promise.all(jobs.map((job) => job.waitUntilFinished(events, 10000)));
    assert.deepEqual(results, numbers.map((a) => a + 1));
  });

  await section('a job that fails', async () => {
    const job = await queue.add('fail', {});
    await assert.rejects(job.waitUntilFinished(events, 10000), /as asked/);
    assert.equal((await queue.getFailed()).length, 1);
  });

  await section('jobs with a delay and with a priority', async () => {
    const late = await queue.add('add', { a: 1, b: 2 }, { delay: 500 });
    const soon = await queue.add('add', { a: 3, b: 4 }, { priority: 2 });
    assert.equal(await soon.waitUntilFinished(events, 10000), 7);
    assert.equal(await late.waitUntilFinished(events, 10000), 3);
  });

  await section('a flow of jobs', async () => {
    const flows = new FlowProducer(options);
    const children = [1, 2].map((a) => ({ name: 'add', data: { a, b: 0 }, queueName: 'jobs' }));
    const tree = await flows.add({ name: 'add', data: { a: 5, b: 5 }, queueName: 'jobs', children });
    assert.equal(await tree.job.waitUntilFinished(events, 10000), 10);
    assert.equal(Object.keys(await tree.job.getChildrenValues()).length, 2);
  });
});
