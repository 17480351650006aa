// Runs the sections of a script: each prints one line, and the next one runs whatever happened.
'use strict';

const net = require('node:net');

const LIMIT = 15000;

function oneLine(error) {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return text.replace(/\s+/g, ' ').slice(0, 300);
}

async function section(name, body, limit = LIMIT) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`took longer than ${limit / 1000} s`)), limit);
  });
  try {
    const refusal = await Promise.race([body(), late]);
    console.log(refusal === undefined ? `${name} ok` : `${name} refused: ${oneLine(refusal)}`);
  } catch (error) {
    console.log(`${name} FAILED: ${oneLine(error)}`);
  } finally {
    clearTimeout(timer);
  }
}

function order(word) {
  return new Promise((resolve, reject) => {
    let text = '';
    const control = net.connect(Number(process.env.CONTROL), '127.0.0.1', () => control.write(`${word}\n`));
    control.on('data', (data) => (text += data));
    control.on('end', () => resolve(Number(text)));
    control.on('error', reject);
  });
}

async function thirdTime(body) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await body();
    } catch (error) {
      if (attempt === 3) throw error;
    }
  }
}

// Ends the program: connections and timers of a library must not keep it.
function run(main) {
  main().then(
    () => process.exit(0),
    (error) => {
      console.error(error);
      process.exit(1);
    },
  );
}

module.exports = {
  PORT: Number(process.env.PORT),
  PLACE: process.env.PLACE,
  VARIANT: process.env.VARIANT,
  version: (text) => console.log(`version ${text}`),
  note: (text) => console.log(`note ${text}`),
  section,
  connections: () => order('count'),
  cut: () => order('cut'),
  pause: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
  thirdTime,
  run,
};
