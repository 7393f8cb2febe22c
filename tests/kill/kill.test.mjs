// The daemon is killed at random moments while a mailing is read, imported and reported, and started again. KILL_ROUNDS
// says how often (a few in `make test`), KILL_SEED repeats the moments.
//
//     KILL_ROUNDS=200 node --test tests/kill/kill.test.mjs
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { cli, startDaemon, until } from '../flow/lib/daemon.mjs'
import { startSimulator } from '../flow/lib/simulator.mjs'
import { Load, pause, randomOf } from './lib/load.mjs'

const rounds = Number(process.env.KILL_ROUNDS || 6)
const seed = Number(process.env.KILL_SEED || Math.floor(Math.random() * 2 ** 31))
const RECIPIENTS = 1500
const BETWEEN_KILLS_MS = 500
const CALM_MS = 180_000 // until everything that was visible must have been read

const random = randomOf(seed)
const load = new Load(random)

// Load until the moment comes; what was under way then may be there or not.
async function loadThenKill(daemon) {
  const stop = load.start([daemon])
  await pause(30 + random() * 2 * (BETWEEN_KILLS_MS - 30))
  const stopped = stop()
  await daemon.kill()
  await stopped
}

function check(daemon) {
  const { status, stdout, stderr } = cli(['check', ...daemon.store])
  assert.equal(status, 0, `seed ${seed}: ${stdout}${stderr}`)
  assert.match(stdout, /, 0 differ/)
}

async function setUp(daemon, sim) {
  const good = async (answer) => assert.equal((await answer).status, 200, (await answer).text)
  await load.setUp(daemon)
  await good(daemon.put('/v1/mailings/m-1', { tenant: 't', subject: 'read', sent_at: new Date().toISOString() }))
  const timing = { every: '1s', margin: '1s', recheck: ['5s', '20s'] }
  const mg = { type: 'mailgun', tenant: 't', base_url: sim.url, domain: sim.domain, api_key: sim.key, timing }
  await good(daemon.put('/v1/sources/mg', mg))
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
  await load.everyAnswerIsThere(daemon)
  assert.equal(await daemon.stop(), 0)
  check(daemon)
})
