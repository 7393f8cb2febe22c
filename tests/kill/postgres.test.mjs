// Three nodes on one PostgreSQL. At random moments a node is killed, or the server's postmaster, and started again.
// KILL_ROUNDS says how often (a few in `make test`), KILL_SEED repeats the moments.
//
//     KILL_ROUNDS=100 node --test tests/kill/postgres.test.mjs
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { cliAsync, startDaemon, until } from '../flow/lib/daemon.mjs'
import { skipOwn as skip, startPostgres } from '../flow/lib/postgres.mjs'
import { startSimulator } from '../flow/lib/simulator.mjs'
import { Load, pause, randomOf } from './lib/load.mjs'

const rounds = Number(process.env.KILL_ROUNDS || 5)
const seed = Number(process.env.KILL_SEED || Math.floor(Math.random() * 2 ** 31))
const NODES = 3
const RECIPIENTS = 1000
const LOAD_MS = 800 // on average, before a kill
const READY_MS = 30_000 // until a node takes writes again after its server came back
const CALM_MS = 240_000 // until everything that was visible must have been read: a lane may have to move

const random = randomOf(seed)
const load = new Load(random, { patient: true })

async function setUp(daemon, sim) {
  const good = async (answer) => assert.equal((await answer).status, 200, (await answer).text)
  await load.setUp(daemon)
  await good(daemon.put('/v1/mailings/m-1', { tenant: 't', subject: 'read', sent_at: new Date().toISOString() }))
  await good(daemon.bulk('/v1/mailings/m-1/messages', await sim.messages()))
  const timing = { every: '1s', margin: '1s', recheck: ['5s', '20s'] }
  await good(daemon.put('/v1/sources/mg', { type: 'mailgun', tenant: 't', base_url: sim.url, domain: sim.domain, api_key: sim.key, timing }))
}

async function check(url) {
  const { status, stdout, stderr } = await cliAsync(['check', '--database', url])
  assert.equal(status, 0, `seed ${seed}: ${stdout}${stderr}`)
  assert.match(stdout, /, 0 differ/)
}

const isReady = (daemon) => daemon.get('/readyz').then(({ status }) => status === 200, () => false)

// Each round somebody else: the nodes in turn, and after them the server.
async function killOne(round, nodes, server) {
  const victim = round % (NODES + 1)
  if (victim < NODES) {
    await nodes[victim].kill()
    return () => nodes[victim].start()
  }
  await server.kill()
  return async () => {
    await server.start()
    for (const node of nodes) await until(() => isReady(node), READY_MS, () => `seed ${seed}: ${node.http} does not come back\n${node.stderr.slice(-2000)}`)
  }
}

test(`three nodes and their PostgreSQL, killed ${rounds} times (seed ${seed})`, { skip, timeout: 7_200_000 }, async () => {
  const sim = await startSimulator({ mailing: 'm-1', recipients: RECIPIENTS, seed, 'compress-time': 8640, 'late-share': 0.05, 'duplicate-share': 0.02, 'garbage-share': 0.01 })
  const server = await startPostgres({ fsync: 'on' })
  const database = await server.database()
  const nodes = []
  for (let i = 0; i < NODES; i++) nodes.push(await startDaemon({ database }))
  await setUp(nodes[0], sim)
  for (let round = 0; round < rounds; round++) {
    const stop = load.start(nodes)
    await pause(100 + random() * 2 * (LOAD_MS - 100))
    const revive = await killOne(round, nodes, server)
    await pause(random() * LOAD_MS) // those who are left go on
    const stopped = stop()
    await revive()
    await stopped
    await check(database)
  }
  const truth = (await sim.truth()).stats
  const read = async () => {
    const { body } = await nodes[0].get('/v1/mailings/m-1/stats')
    return Object.keys(truth).every((name) => body[name] === truth[name])
  }
  await until(read, CALM_MS, () => `seed ${seed}: the figures never became the truth: ${JSON.stringify(truth)}`)
  await load.everyAnswerIsThere(nodes[1])
  for (const node of nodes) assert.equal(await node.stop(), 0)
  await check(database)
})
