// The daemon is killed at random moments while a mailing is read, imported and reported, and started again. KILL_ROUNDS
// says how often (a few in `make test`), KILL_SEED repeats the moments.
//
//     KILL_ROUNDS=200 node --test tests/kill/kill.test.mjs
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { cli, startDaemon, until } from '../flow/lib/daemon.mjs'
import { startSimulator } from '../flow/lib/simulator.mjs'
import { mailgun, now, post } from '../flow/lib/webhooks.mjs'

const rounds = Number(process.env.KILL_ROUNDS || 6)
const seed = Number(process.env.KILL_SEED || Math.floor(Math.random() * 2 ** 31))
const KEY = 'key-of-the-tests'
const RECIPIENTS = 1500
const LINES = 40 // of one import
const BETWEEN_KILLS_MS = 500
const CALM_MS = 180_000 // until everything that was visible must have been read

// mulberry32: the moments of a seed are the same everywhere.
let state = seed
function chance() {
  state = (state + 0x6d2b79f5) | 0
  let t = Math.imul(state ^ (state >>> 15), 1 | state)
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
}
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

// What the daemon said yes to.
const answered = { imports: [], hooks: [] }
let imports = 0
let hooks = 0

async function importSome(daemon, running) {
  while (running()) {
    const number = imports++
    const lines = Array.from({ length: LINES }, (_, i) => ({ recipient: `r${number}-${i}@k.example`, member: `p${i}`, provider_message_id: `${number}-${i}@k` }))
    const { status, body, text } = await daemon.bulk('/v1/mailings/own/messages', lines)
    assert.equal(status, 200, text)
    assert.equal(body.accepted, LINES, text)
    answered.imports.push(lines)
  }
}

// Reports about recipients that may be known or not yet.
async function reportSome(daemon, running) {
  while (running()) {
    const number = hooks++
    const [chunk, line] = [Math.floor(chance() * (imports + 1)), Math.floor(chance() * LINES)]
    const event = chance() < 0.5 ? 'delivered' : 'opened'
    const reference = { recipient: `r${chunk}-${line}@k.example`, message: { headers: { 'message-id': `${chunk}-${line}@k` } } }
    const hook = mailgun(KEY, { event, id: `hook-${number}`, timestamp: now() - 1, ip: '192.0.2.1', ...reference })
    const { status, text } = await post(daemon, 'hooks', hook)
    assert.equal(status, 200, text)
    answered.hooks.push({ event, recipient: reference.recipient, hook })
  }
}

// Load until the moment comes; what was under way then may be there or not.
async function loadThenKill(daemon) {
  let killed = false
  const running = () => !killed
  const cut = (error) => {
    if (!killed || error instanceof assert.AssertionError) throw error
  }
  const load = [importSome, reportSome, reportSome].map((work) => work(daemon, running).catch(cut))
  const all = Promise.all(load)
  all.catch(() => {}) // looked at below
  await pause(30 + chance() * 2 * (BETWEEN_KILLS_MS - 30))
  killed = true
  await daemon.kill()
  await all
}

function check(daemon) {
  const { status, stdout, stderr } = cli(['check', '--data', daemon.data])
  assert.equal(status, 0, `seed ${seed}: ${stdout}${stderr}`)
  assert.match(stdout, /, 0 differ/)
}

async function setUp(daemon, sim) {
  const good = async (answer) => assert.equal((await answer).status, 200, (await answer).text)
  const sent_at = new Date().toISOString()
  await good(daemon.put('/v1/tenants/t', { timezone: 'Europe/London' }))
  await good(daemon.put('/v1/mailings/m-1', { tenant: 't', subject: 'read', sent_at }))
  await good(daemon.put('/v1/mailings/own', { tenant: 't', subject: 'reported', sent_at }))
  await good(daemon.put('/v1/sources/hooks', { type: 'mailgun', tenant: 't', signing_key: KEY }))
  const timing = { every: '1s', margin: '1s', recheck: ['5s', '20s'] }
  const mg = { type: 'mailgun', tenant: 't', base_url: sim.url, domain: sim.domain, api_key: sim.key, timing }
  await good(daemon.put('/v1/sources/mg', mg))
}

async function everyAnswerIsThere(daemon) {
  for (const lines of answered.imports) {
    const { body, text } = await daemon.bulk('/v1/mailings/own/messages', lines)
    assert.deepEqual([body.accepted, body.duplicates], [0, LINES], text)
  }
  // With every recipient known, each message has what was said of it.
  const all = Array.from({ length: imports + 1 }, (_, number) => Array.from({ length: LINES }, (_, i) => ({ recipient: `r${number}-${i}@k.example`, provider_message_id: `${number}-${i}@k` })))
  for (const lines of all) assert.equal((await daemon.bulk('/v1/mailings/own/messages', lines)).status, 200)
  const before = (await daemon.get('/v1/sources/hooks')).body.webhook.results
  for (const { hook } of answered.hooks) assert.equal((await post(daemon, 'hooks', hook)).status, 200)
  const after = (await daemon.get('/v1/sources/hooks')).body.webhook.results
  assert.deepEqual(after, before, 'a webhook that was answered is new')
  const told = (event) => new Set(answered.hooks.filter((one) => one.event === event).map(({ recipient }) => recipient)).size
  const { body } = await daemon.get('/v1/mailings/own/stats')
  assert.ok(body.delivered >= told('delivered') && body.opened >= told('opened'), JSON.stringify(body))
  assert.equal(body.messages, (imports + 1) * LINES)
}

test(`nothing answered is lost and nothing counted twice over ${rounds} kills (seed ${seed})`, { timeout: 3_600_000 }, async () => {
  const span_s = 10 + (rounds * BETWEEN_KILLS_MS) / 1000
  const options = { mailing: 'm-1', recipients: RECIPIENTS, seed, 'compress-time': Math.ceil(86400 / span_s) }
  const shares = { 'late-share': 0.05, 'duplicate-share': 0.02, 'garbage-share': 0.01 }
  const sim = await startSimulator({ ...options, ...shares })
  const daemon = await startDaemon()
  await setUp(daemon, sim)
  const recipients = await sim.messages()
  for (let round = 0; round < rounds; round++) {
    const part = recipients.slice(Math.floor((round * RECIPIENTS) / rounds), Math.floor(((round + 1) * RECIPIENTS) / rounds))
    assert.equal((await daemon.bulk('/v1/mailings/m-1/messages', part)).body.accepted, part.length)
    if (round % 5 === 1) await sim.fault({ status: 503, count: 3 })
    await loadThenKill(daemon)
    check(daemon)
    await daemon.start()
  }
  const truth = (await sim.truth()).stats
  const read = async () => {
    const { body } = await daemon.get('/v1/mailings/m-1/stats')
    return Object.keys(truth).every((name) => body[name] === truth[name])
  }
  await until(read, span_s * 1000 + CALM_MS, () => `seed ${seed}: the figures never became the truth: ${JSON.stringify(truth)}`)
  await everyAnswerIsThere(daemon)
  assert.equal(await daemon.stop(), 0)
  check(daemon)
})
