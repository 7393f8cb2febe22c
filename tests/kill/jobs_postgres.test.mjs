// Three nodes on one PostgreSQL that die in turn while jobs are pushed, fetched, acked and failed at both doors of all of
// them: clients and workers go to another node with what had no answer. KILL_ROUNDS says how often (a few in `make test`;
// from 20 on it waits until all work is done), KILL_SEED repeats the moments.
//
//     KILL_ROUNDS=100 node --test tests/kill/jobs_postgres.test.mjs
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { cliAsync, startDaemon } from '../flow/lib/daemon.mjs'
import { skipOwn as skip, startPostgres } from '../flow/lib/postgres.mjs'
import { JobLoad } from './lib/job_load.mjs'
import { pause, randomOf } from './lib/load.mjs'

const rounds = Number(process.env.KILL_ROUNDS || 3)
const seed = Number(process.env.KILL_SEED || Math.floor(Math.random() * 2 ** 31))
const NODES = 3
const LOAD_MS = 600 // on average, before a kill and behind it
const FINISH_MS = rounds >= 20 ? 240_000 : 0 // what was on its way to a worker comes back after a minute

const random = randomOf(seed)
const load = new JobLoad(random, { patient: true })

async function check(url) {
  const { status, stdout, stderr } = await cliAsync(['check', '--database', url])
  assert.equal(status, 0, stdout + stderr)
  assert.match(stdout, /, 0 differ/)
}

async function killUnderLoad(nodes, round) {
  const stop = load.start(nodes)
  await pause(100 + random() * 2 * (LOAD_MS - 100))
  await nodes[round % NODES].kill()
  await pause(random() * LOAD_MS) // those who are left go on
  await stop()
  await nodes[round % NODES].start()
  await load.audit(nodes[(round + 1) % NODES])
}

test(`no job is lost and none runs again while three nodes die ${rounds} times (seed ${seed})`, { skip, timeout: 7_200_000 }, async () => {
  const server = await startPostgres({ fsync: 'on' })
  const database = await server.database()
  const nodes = []
  for (let i = 0; i < NODES; i++) nodes.push(await startDaemon({ database }))
  await load.setUp(nodes[0])
  for (let round = 0; round < rounds; round++) {
    await killUnderLoad(nodes, round)
    await check(database)
  }
  await load.lateAcks(nodes)
  await load.finish(nodes, FINISH_MS)
  for (const node of nodes) assert.equal(await node.stop(), 0)
  await check(database)
  console.log(`# ${JSON.stringify(load.counts)}, ${load.dead} dead`)
})
