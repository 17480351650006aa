// The dashboard. It asks for /servers every second, makes rates of the counters, and for /history every five seconds.
// Names come from configuration files and are never taken for markup: only textContent is set.
'use strict';

const POLL_MS = 1000;
const ANSWER_MS = 5000;
// Rates are those of this time.
const RATE_SECONDS = 3;
// A server that had an error so long ago is shown as failing.
const FAILING_SECONDS = 10;
// Where a sample of the history has the median and the 99th percentile of the latency.
const [P50, P99] = [4, 5];
const SLOW_SHOWN = 20;
// So many keys of each pool with most requests, and as many with most bytes, and with the largest values.
const HOT_SHOWN = 10;

const byId = (id) => document.getElementById(id);
const cards = new Map();
const seen = new Map();
const history = { taken: 0, every: 5, samples: 180, series: new Map() };
let started = null;
let lastAnswer = null;
let lastHistory = 0;

async function ask(path) {
  const response = await fetch(path, { signal: AbortSignal.timeout(ANSWER_MS) });
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  return response.json();
}

async function poll() {
  try {
    if (!document.hidden) await refresh();
  } catch {
    showSilence();
  }
  setTimeout(poll, POLL_MS);
}

async function refresh() {
  const page = await ask('servers');
  if (page.started !== started) restart(page.started);
  lastAnswer = new Date();
  document.body.classList.remove('is-stale');
  if (Date.now() - lastHistory >= history.every * 1000) {
    lastHistory = Date.now();
    addHistory(await ask(`history?after=${history.taken}`));
    showSlow(await ask('slowlog'));
    showHot(await ask('hotkeys'));
  }
  show(page);
}

// The counters of another process say nothing of this one's rates.
function restart(time) {
  started = time;
  seen.clear();
  history.taken = 0;
  history.series.clear();
  lastHistory = 0;
}

function addHistory(news) {
  const known = history.series;
  history.series = new Map();
  for (const { pool, server, points } of news.series) {
    const key = keyOf(pool, server);
    const old = known.get(key) ?? [];
    history.series.set(key, [...old, ...points].slice(-news.samples));
  }
  history.taken = news.taken;
  history.every = news.every;
  history.samples = news.samples;
}

const keyOf = (pool, server) => JSON.stringify([pool, server ?? null]);

// How much a counter has grown per second; null while that is not known.
function rate(key, now, value) {
  const past = seen.get(key) ?? [];
  past.push({ now, value });
  while (past.length > 2 && now - past[1].now >= RATE_SECONDS) past.shift();
  seen.set(key, past);
  const since = now - past[0].now;
  return since > 0 ? Math.max(0, value - past[0].value) / since : null;
}

// When a counter was last seen to grow, in seconds before now.
function sinceGrowth(key, now, value) {
  const last = seen.get(key);
  const at = last && value > last.value ? now : last?.at;
  seen.set(key, { value, at });
  return at === undefined ? Infinity : now - at;
}

const sum = (numbers) => numbers.reduce((all, number) => all + number, 0);
const failures = (counters) => counters.server_err + counters.server_timedout + counters.server_eof;

function show(page) {
  const totals = { clients: 0, requests: null, errors: null };
  const names = new Set();
  for (const pool of page.pools) {
    names.add(pool.name);
    const numbers = numbersOf(pool, page.now);
    totals.clients += numbers.clients;
    for (const of of ['requests', 'errors']) {
      if (numbers[of] !== null) totals[of] = (totals[of] ?? 0) + numbers[of];
    }
    showPool(pool, numbers, page.now);
  }
  for (const [name, card] of cards) {
    if (names.has(name)) continue;
    card.section.remove();
    cards.delete(name);
  }
  showState(page);
  setText(byId('version'), page.version);
  setText(byId('uptime'), duration(page.now - page.started));
  setText(byId('loaded'), clock(page.loaded));
  setText(byId('clients'), count(totals.clients));
  setText(byId('requests'), perSecond(totals.requests));
  setText(byId('errors'), perSecond(totals.errors));
  byId('left-out').hidden = page.left_out === 0;
  setText(byId('left-out'), `${page.left_out} further pools and servers are not shown.`);
}

function numbersOf(pool, now) {
  const { counters, servers } = pool;
  return {
    requests: rate(`${keyOf(pool.name)} requests`, now, counters.client_requests),
    errors: rate(`${keyOf(pool.name)} errors`, now, counters.forward_error),
    clients: counters.client_connections,
    inFlight: sum(servers.map((server) => server.counters.out_queue)),
    queued: sum(servers.map((server) => server.counters.in_queue)),
    ejections: counters.server_ejects,
  };
}

// What is announced: it only changes when a state does.
function showState(page) {
  const named = (isIt) => page.pools.flatMap((pool) =>
    pool.servers.filter(isIt).map((server) => `${server.name} of ${pool.name}`));
  const ejected = named((server) => !server.live && !server.drained);
  const drained = named((server) => server.drained);
  const state = byId('state');
  if (page.readiness === 'stopping') setState(state, 'is-warn', 'The proxy is ending');
  else if (ejected.length === 0 && drained.length === 0) setState(state, 'is-good', 'All servers live');
  else {
    const [kind, what, names] = ejected.length > 0 ? ['is-bad', 'Ejected', ejected] : ['is-warn', 'Drained', drained];
    const shown = names.slice(0, 3).join(', ');
    const more = names.length > 3 ? ` and ${names.length - 3} more` : '';
    const ready = page.readiness === 'ready' ? '' : '. Not ready';
    setState(state, kind, `${what}: ${shown}${more}${ready}`);
  }
}

function showSilence() {
  document.body.classList.add('is-stale');
  const since = lastAnswer === null ? '' : ` since ${lastAnswer.toLocaleTimeString()}`;
  setState(byId('state'), 'is-bad', `No answer from the proxy${since}`);
}

function showPool(pool, numbers, now) {
  const card = cards.get(pool.name) ?? addCard(pool.name);
  const { section } = card;
  const live = pool.servers.filter((server) => server.live).length;
  const badge = section.querySelector('.badge');
  if (!pool.ready) setState(badge, 'is-bad', 'No live server');
  else if (live < pool.servers.length) setState(badge, 'is-warn', `${live} of ${pool.servers.length} servers live`);
  else setState(badge, 'is-good', `${live} of ${live} servers live`);
  const failover = pool.failover === null ? '' : `, failover to ${pool.failover}`;
  setText(section.querySelector('.about'), `${pool.protocol} on ${pool.listen}${failover}`);
  for (const of of ['requests', 'errors']) setText(cell(section, of), perSecond(numbers[of]));
  for (const of of ['clients', 'inFlight', 'queued', 'ejections']) setText(cell(section, of), count(numbers[of]));
  const points = history.series.get(keyOf(pool.name)) ?? [];
  showLatency(section, points);
  for (const [of, index] of Object.entries({ requests: 0, errors: 1, inFlight: 2, p99: P99 })) {
    const figure = section.querySelector(`[data-plot="${of}"]`);
    const values = points.map((point) => point[index]);
    const most = values.length === 0 ? 0 : Math.max(...values);
    const text = values.length === 0 ? 'no samples yet' : `at most ${short(most)} in ${span(values.length)}`;
    setText(figure.querySelector('span'), text);
    const svg = figure.querySelector('svg');
    svg.setAttribute('aria-label', `${figure.querySelector('figcaption').textContent} of pool ${pool.name}`);
    plot(svg, values, most);
  }
  showServers(card, pool, now);
}

// That of the newest sample; nothing if no request was answered in it.
function showLatency(element, points) {
  const newest = points.at(-1);
  for (const [of, index] of [['p50', P50], ['p99', P99]]) {
    setText(cell(element, of), newest === undefined || newest[index] === 0 ? '–' : millis(newest[index]));
  }
}

function addCard(name) {
  const section = byId('pool').content.firstElementChild.cloneNode(true);
  const heading = section.querySelector('h2');
  heading.textContent = name;
  heading.id = `pool-${cards.size}-${Date.now()}`;
  section.setAttribute('aria-labelledby', heading.id);
  section.querySelector('caption').textContent = `Servers of ${name}`;
  section.querySelector('.scroll').setAttribute('aria-label', `Servers of ${name}`);
  section.querySelector('form').addEventListener('submit', (event) => {
    event.preventDefault();
    explain(name, event.currentTarget);
  });
  const card = { section, rows: new Map() };
  cards.set(name, card);
  byId('pools').append(section);
  return card;
}

// Tells where a key of a pool goes and why.
async function explain(pool, form) {
  const { key, escapes } = form.elements;
  const query = new URLSearchParams({ pool, key: key.value, escapes: escapes.checked });
  const answer = form.querySelector('.answer');
  try {
    const response = await fetch(`explain?${query}`, { signal: AbortSignal.timeout(ANSWER_MS) });
    setText(answer, response.ok ? (await response.json()).text : await response.text());
  } catch {
    setText(answer, 'No answer from the proxy');
  }
  answer.hidden = false;
}

function showServers(card, pool, now) {
  const body = card.section.querySelector('tbody');
  const names = new Set(pool.servers.map((server) => server.name));
  for (const [name, row] of card.rows) {
    if (names.has(name)) continue;
    row.remove();
    card.rows.delete(name);
  }
  for (const server of pool.servers) {
    let row = card.rows.get(server.name);
    if (row === undefined) {
      row = byId('server').content.firstElementChild.cloneNode(true);
      cell(row, 'name').textContent = server.name;
      card.rows.set(server.name, row);
      body.append(row);
    }
    showServer(row, pool.name, server, now);
  }
}

function showServer(row, pool, server, now) {
  const { counters } = server;
  const key = keyOf(pool, server.name);
  const failed = failures(counters);
  const isFailing = sinceGrowth(`${key} failing`, now, failed) < FAILING_SECONDS;
  row.classList.toggle('is-bad', !server.live && !server.drained);
  const state = cell(row, 'state');
  if (server.drained) setState(state, 'is-warn', '■ drained');
  else if (!server.live) setState(state, 'is-bad', '✕ ejected');
  else if (isFailing) setState(state, 'is-warn', '▲ failing');
  else setState(state, 'is-good', '● live');
  setText(cell(row, 'address'), server.address);
  const percent = `${(server.key_share * 100).toFixed(1)} %`;
  setText(cell(row, 'share'), percent);
  row.querySelector('.share span').style.width = percent.replace(' ', '');
  setText(cell(row, 'requests'), perSecond(rate(`${key} requests`, now, counters.requests)));
  setText(cell(row, 'errors'), perSecond(rate(`${key} errors`, now, failed)));
  showLatency(row, history.series.get(key) ?? []);
  setText(cell(row, 'inFlight'), count(counters.out_queue));
  setText(cell(row, 'queued'), count(counters.in_queue));
  setText(cell(row, 'connections'), count(counters.server_connections));
  const ejected = counters.server_ejected_at;
  setText(cell(row, 'ejected'), ejected > 0 ? clock(ejected / 1e6) : 'never');
  const values = (history.series.get(key) ?? []).map((point) => point[0]);
  plot(row.querySelector('svg'), values, values.length === 0 ? 0 : Math.max(...values));
}

// The section is there while there is anything to show.
function showSlow(requests) {
  const section = byId('slow');
  section.hidden = requests.length === 0;
  const rows = requests.slice(0, SLOW_SHOWN).map((slow) => {
    const row = document.createElement('tr');
    const more = slow.key_bytes_left_out > 0 ? '…' : '';
    const client = slow.client_name === '' ? slow.client : `${slow.client} ${slow.client_name}`;
    const cells = [
      clock(slow.at / 1e6), `${slow.command} ${slow.key}${more}`, slow.pool, slow.server,
      millis(slow.waited / 1000), millis(slow.served / 1000), client,
    ];
    cells.forEach((text, index) => {
      const cell = row.insertCell();
      cell.textContent = text;
      if (index === 4 || index === 5) cell.className = 'number';
    });
    return row;
  });
  section.querySelector('tbody').replaceChildren(...rows);
}

// One row for each key that counts for something; the section is there while there is any.
function showHot(pools) {
  const section = byId('hot');
  const rows = pools.flatMap((pool) => {
    const lists = ['by_requests', 'by_bytes', 'largest'].map((of) => pool[of].slice(0, HOT_SHOWN));
    const keys = new Set(lists.flat().map((entry) => entry.key));
    return [...keys].map((key) => hotRow(pool, key));
  });
  section.hidden = rows.length === 0;
  section.querySelector('tbody').replaceChildren(...rows);
}

function hotRow(pool, key) {
  const [requests, bytes, largest] = ['by_requests', 'by_bytes', 'largest'].map((of) =>
    pool[of].find((entry) => entry.key === key));
  const row = document.createElement('tr');
  const more = (requests ?? bytes ?? largest).key_bytes_left_out > 0 ? '…' : '';
  const cells = [
    pool.pool, `${key}${more}`,
    ...estimated(requests?.requests, requests?.at_least, pool.requests, short), part(requests?.reads, requests?.at_least),
    ...estimated(bytes?.bytes, bytes?.at_least, pool.bytes, size),
    largest ? `${size(largest.bytes)} (${largest.within})` : '–',
  ];
  cells.forEach((text, index) => {
    const cell = row.insertCell();
    cell.textContent = text;
    cell.className = index < 2 ? 'key' : 'number';
  });
  return row;
}

// A number that is at most this, and its part of a whole. It says so where it may be much too high.
function estimated(most, least, whole, show) {
  if (most === undefined) return ['–', '–'];
  const sign = least < most * 0.9 ? '≤ ' : '';
  return [`${sign}${show(most)}`, `${sign}${part(most, whole)}`];
}

const part = (number, whole) => (number === undefined || !whole ? '–' : `${(number / whole * 100).toFixed(1)} %`);

// Draws values as a line with the newest at the right, where all of the time is the width.
function plot(svg, values, most) {
  const [width, height] = [history.samples - 1, 40];
  if (svg.firstChild === null) {
    svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
    svg.setAttribute('preserveAspectRatio', 'none');
    for (const name of ['area', 'line']) {
      const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
      path.setAttribute('class', name);
      svg.append(path);
    }
  }
  const first = width - values.length + 1;
  const y = (value) => (height - 1 - (most > 0 ? value / most : 0) * (height - 3)).toFixed(1);
  const line = values.map((value, index) => `${index === 0 ? 'M' : 'L'}${first + index} ${y(value)}`).join('');
  const [area, path] = svg.children;
  path.setAttribute('d', line);
  area.setAttribute('d', line === '' ? '' : `${line}L${width} ${height}L${first} ${height}Z`);
}

const cell = (element, of) => element.querySelector(`[data-of="${of}"]`);

// What has not changed is left alone, so that nothing is announced or painted again.
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function setState(element, state, text) {
  setText(element, text);
  for (const name of ['is-good', 'is-warn', 'is-bad']) element.classList.toggle(name, name === state);
}

const short = (number) => number.toLocaleString('en', { maximumFractionDigits: number < 10 ? 1 : 0 });
const count = (number) => number.toLocaleString('en');
// Bytes.
function size(number) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  while (number >= 1024 && unit + 1 < units.length) {
    number /= 1024;
    unit += 1;
  }
  return `${short(number)} ${units[unit]}`;
}
const millis = (number) => `${number < 10 ? number.toFixed(2) : short(number)} ms`;
const perSecond = (number) => (number === null ? '–' : short(number));
const span = (samples) => duration(samples * history.every);

// A point in time, with the day unless that is today.
function clock(seconds) {
  const time = new Date(seconds * 1000);
  const isToday = time.toDateString() === new Date().toDateString();
  return isToday ? time.toLocaleTimeString() : time.toLocaleString();
}

function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [days, hours, minutes] = [Math.floor(whole / 86400), Math.floor(whole / 3600) % 24, Math.floor(whole / 60) % 60];
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  if (minutes > 0) return `${minutes} min`;
  return `${whole} s`;
}

document.addEventListener('visibilitychange', () => {
  if (!document.hidden) refresh().catch(showSilence);
});
poll();
