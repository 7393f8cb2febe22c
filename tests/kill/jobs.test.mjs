// The daemon is killed at random moments while jobs are pushed, fetched, acked and failed at both doors, and started
// again: what was answered is there, what was acked never runs again, and no limit or lock was ever passed. KILL_ROUNDS
// says how often (a few in `make test`; from 20 on it waits until all work is done), KILL_SEED repeats the moments.
//
//     KILL_ROUNDS=200 node --test tests/kill/jobs.test.mjs
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { cli, startDaemon } from '../flow/lib/daemon.mjs'
import { JobLoad } from './lib/job_load.mjs'
import { pause, randomOf } from './lib/load.mjs'

const rounds = Number(process.env.KILL_ROUNDS || 6)
const seed = Number(process.env.KILL_SEED || Math.floor(Math.random() * 2 ** 31))
const BETWEEN_KILLS_MS = 500
const FINISH_MS = rounds >= 20 ? 180_000 : 0 // what was on its way to a worker comes back after a minute

const random = randomOf(seed)
const load = new JobLoad(random)

function check(daemon) {
  const { status, stdout, stderr } = cli(['check', ...daemon.store])
  assert.equal(status, 0, stdout + stderr)
  assert.match(stdout, /, 0 differ/)
}

async function killUnderLoad(daemon) {
  const stop = load.start([daemon])
  await pause(30 + random() * 2 * (BETWEEN_KILLS_MS - 30))
  await daemon.kill()
  await stop()
  check(daemon)
  await daemon.start()
  await load.audit(daemon)
}

test(`no job is lost and none runs again over ${rounds} kills (seed ${seed})`, { timeout: 3_600_000 }, async () => {
  const daemon = await startDaemon()
  await load.setUp(daemon)
  for (let round = 0; round < rounds; round++) await killUnderLoad(daemon)
  await load.lateAcks([daemon])
  await load.finish([daemon], FINISH_MS)
  assert.equal(await daemon.stop(), 0)
  check(daemon)
  console.log(`# ${JSON.stringify(load.counts)}, ${load.dead} dead`)
})
