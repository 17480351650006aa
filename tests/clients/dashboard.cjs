// The dashboard in a real browser: node dashboard.cjs CHROMIUM URL POOL_PORT PID CONTROL_SOCKET [DIRECTORY FOR PICTURES].
// PID is that of the server that is killed; the pool ejects it.
'use strict';

const assert = require('node:assert/strict');
const net = require('node:net');
const path = require('node:path');
const { chromium } = require('playwright-core');

const VIEWS = [
  ['desktop-light', { width: 1280, height: 900 }, 'light'],
  ['desktop-dark', { width: 1280, height: 900 }, 'dark'],
  ['phone-light', { width: 390, height: 844 }, 'light'],
  ['phone-dark', { width: 390, height: 844 }, 'dark'],
];

async function main([executablePath, url, port, pid, control, pictures]) {
  const args = ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'];
  const browser = await chromium.launch({ executablePath, args });
  const client = net.connect(Number(port), '127.0.0.1');
  client.on('data', () => {});
  const asking = setInterval(() => {
    // With fnv1a_64, keys that differ at their end only are neighbours on the ring.
    for (let key = 0; key < 40; key += 1) client.write(`GET ${key * 7919}:key\r\n`);
  }, 100);
  try {
    const complaints = [];
    const page = await open(browser, url, complaints);
    await loads(page);
    await isLive(page);
    await showsLatency(page);
    await slowRequestsAreText(page, client);
    await hotKeysAreText(page, client);
    await isUsableByKeyboard(page);
    await namesAreText(page);
    await keyIsExplained(page, control, complaints);
    await drainedServerIsTold(page, control);
    await killedServerTurnsRed(page, url, pid);
    if (pictures) await takePictures(browser, page, url, pictures);
    assert.deepEqual(complaints, []);
    console.log('ok dashboard');
  } finally {
    clearInterval(asking);
    client.destroy();
    await browser.close();
  }
}

async function open(browser, url, complaints) {
  const page = await browser.newPage();
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('requestfailed', (request) => complaints.push(`${request.url()}: ${request.failure()?.errorText}`));
  page.on('request', (request) => {
    if (!request.url().startsWith(url)) complaints.push(`a request to ${request.url()}`);
  });
  page.on('dialog', (dialog) => {
    complaints.push(`a dialog: ${dialog.message()}`);
    dialog.dismiss();
  });
  await page.goto(url);
  return page;
}

const rows = (page) => page.locator('section.pool tbody tr');
const cell = (row, of) => row.locator(`[data-of="${of}"]`);

async function loads(page) {
  await rows(page).first().waitFor();
  assert.equal(await rows(page).count(), 4);
  assert.equal(await page.locator('section.pool').count(), 2);
  const shares = await page.locator('section.pool').first().locator('[data-of="share"]').allTextContents();
  const all = shares.reduce((sum, share) => sum + parseFloat(share), 0);
  assert.ok(Math.abs(all - 100) < 0.5, `shares ${shares}`);
  const status = page.getByRole('status');
  await status.filter({ hasText: 'All servers live' }).waitFor();
}

// What the client asks shows in the rates, without a reload.
async function isLive(page) {
  const rate = page.locator('section.pool').first().locator('.numbers [data-of="requests"]');
  await page.waitForFunction((element) => parseFloat(element.textContent.replaceAll(',', '')) > 50, await rate.elementHandle(), { timeout: 8000 });
  const plot = page.locator('section.pool').first().locator('[data-plot="requests"] path').last();
  await page.waitForFunction((element) => element.getAttribute('d')?.startsWith('M'), await plot.elementHandle(), { timeout: 15000 });
}

// So does how long the servers took.
async function showsLatency(page) {
  for (const element of [page.locator('section.pool .numbers').first(), rows(page).filter({ hasText: 'plain' })]) {
    for (const of of ['p50', 'p99']) await cell(element, of).filter({ hasText: /^[0-9.]+ ms$/ }).waitFor({ timeout: 15000 });
  }
  const plot = page.locator('section.pool').first().locator('[data-plot="p99"] path').last();
  await page.waitForFunction((element) => element.getAttribute('d')?.startsWith('M'), await plot.elementHandle(), { timeout: 15000 });
}

// Every request of that pool is slow by its setting.
async function slowRequestsAreText(page, client) {
  const asking = setInterval(() => client.write('GET <b>key</b>\r\n'), 20);
  try {
    const row = page.locator('#slow tbody tr').filter({ hasText: 'GET <b>key</b>' }).first();
    await row.waitFor({ timeout: 15000 });
    assert.match(await row.textContent(), / ms127\.0\.0\.1:[0-9]+$/);
    assert.equal(await page.locator('#slow b').count(), 0);
  } finally {
    clearInterval(asking);
  }
}

// Every request of that pool is counted by its keys, by its setting.
async function hotKeysAreText(page, client) {
  const value = 'v'.repeat(300000);
  client.write(`*3\r\n$3\r\nSET\r\n$10\r\n<i>big</i>\r\n$${value.length}\r\n${value}\r\n`);
  const asking = setInterval(() => client.write('GET <b>hot</b>\r\n'.repeat(100)), 20);
  try {
    const rows = page.locator('#hot tbody tr');
    const hottest = rows.first().filter({ hasText: '<b>hot</b>' });
    await hottest.waitFor({ timeout: 20000 });
    const texts = await hottest.locator('td').allTextContents();
    assert.equal(texts[0], 'a');
    assert.match(texts[2], /^[0-9,]+$/);
    for (const index of [3, 4, 6]) assert.match(texts[index], /^[0-9.]+ %$/);
    const large = rows.filter({ hasText: '<i>big</i>' });
    await large.filter({ hasText: '293 KiB (request)' }).waitFor({ timeout: 15000 });
    assert.equal(await page.locator('#hot b, #hot i').count(), 0);
  } finally {
    clearInterval(asking);
  }
}

async function isUsableByKeyboard(page) {
  const table = page.getByRole('table').first();
  assert.equal(await table.getByRole('columnheader').count(), 12);
  assert.equal(await table.getByRole('rowheader').count(), await table.locator('tbody tr').count());
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.className), 'skip');
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'pools');
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.className), 'scroll');
}

// Names are shown as they are written, and nothing in them is markup.
async function namesAreText(page) {
  const hostile = ['<img/src=x/onerror=alert(1)>', '"><script>alert(2)</script>'];
  const names = await page.locator('tbody [data-of="name"]').allTextContents();
  for (const name of hostile) assert.ok(names.includes(name), `${name} in ${names}`);
  const pools = await page.locator('h2').allTextContents();
  assert.ok(pools.includes("<b onclick='alert(3)'>b</b>"), `${pools}`);
  assert.equal(await page.locator('#pools img, #pools script, #pools b').count(), 0);
}

function tell(control, command) {
  return new Promise((done, fail) => {
    const socket = net.connect(control, () => socket.write(`${JSON.stringify(command)}\n`));
    let answer = '';
    socket.on('data', (data) => { answer += data; });
    socket.on('end', () => done(JSON.parse(answer)));
    socket.on('error', fail);
  });
}

// The box of a pool says what `nuthatch ctl explain` says.
async function keyIsExplained(page, control, complaints) {
  const box = page.locator('section.pool').first().locator('form');
  const key = box.getByLabel('Where does a key go?');
  const answer = box.locator('.answer');
  await key.fill('a&b +%\\x00');
  await key.press('Enter');
  await answer.filter({ hasText: 'pool a, key a&b +%\\\\x00' }).waitFor({ timeout: 5000 });
  await box.getByLabel('\\x00 is a byte').check();
  await box.getByRole('button', { name: 'Explain' }).click();
  await answer.filter({ hasText: 'pool a, key a&b +%\\x00' }).waitFor({ timeout: 5000 });
  const told = await tell(control, { command: 'explain', pool: 'a', key: 'a&b +%\0' });
  const place = (text) => text.split('\n').filter((line) => /^ +(hash|ring|server|now) /.test(line)).join('\n');
  assert.ok(told.ok && place(told.text) !== '');
  assert.equal(place(await answer.textContent()), place(told.text));
  await key.fill('\\q');
  const complaint = page.waitForEvent('console');
  await key.press('Enter');
  await answer.filter({ hasText: "'\\q' is no escape" }).waitFor({ timeout: 5000 });
  assert.equal(await answer.locator('*').count(), 0);
  // The browser tells of the status.
  assert.match((await complaint).text(), /400/);
  assert.match(complaints.pop(), /400/);
}

async function drainedServerIsTold(page, control) {
  assert.ok((await tell(control, { command: 'drain', server: 'plain' })).ok);
  const row = rows(page).filter({ hasText: 'plain' });
  await cell(row, 'state').filter({ hasText: 'drained' }).waitFor({ timeout: 5000 });
  await page.getByRole('status').filter({ hasText: 'Drained: plain of a' }).waitFor({ timeout: 5000 });
  assert.equal(await page.locator('tr.is-bad').count(), 0);
  assert.ok((await tell(control, { command: 'undrain', server: 'plain' })).ok);
  await page.getByRole('status').filter({ hasText: 'All servers live' }).waitFor({ timeout: 5000 });
}

async function killedServerTurnsRed(page, url, pid) {
  process.kill(Number(pid), 'SIGKILL');
  let servers;
  for (let tries = 0; tries < 200; tries += 1) {
    servers = (await (await fetch(`${url}servers`)).json()).pools[0].servers;
    if (servers.some((server) => !server.live)) break;
    await new Promise((done) => setTimeout(done, 50));
  }
  const ejected = Date.now();
  const dead = servers.find((server) => !server.live);
  assert.ok(dead, 'a server is ejected');
  const row = page.locator('tr.is-bad');
  await row.waitFor({ timeout: 2000 });
  console.log(`red after ${Date.now() - ejected} ms`);
  assert.equal(await row.count(), 1);
  assert.equal(await cell(row, 'name').textContent(), dead.name);
  assert.match(await cell(row, 'state').textContent(), /ejected/);
  const [red, green, blue] = await cell(row, 'state').evaluate((element) =>
    getComputedStyle(element).color.match(/\d+/g).map(Number));
  assert.ok(red > green + 60 && red > blue + 60, `${red} ${green} ${blue}`);
  assert.match(await cell(row, 'share').textContent(), /^0\.0/);
  const said = await page.getByRole('status').textContent();
  assert.ok(said.includes(`Ejected: ${dead.name}`), said);
}

async function takePictures(browser, page, url, pictures) {
  for (const [name, viewport, colorScheme] of VIEWS) {
    const context = await browser.newContext({ viewport, colorScheme });
    const view = await context.newPage();
    await view.goto(url);
    await rows(view).first().waitFor();
    await view.waitForTimeout(6000);
    await view.screenshot({ path: path.join(pictures, `${name}.png`), fullPage: true });
    const width = await view.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(width <= viewport.width, `${name} is ${width} wide`);
    await context.close();
  }
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
