// A primary with a synchronous standby; under load the primary is killed and the standby promoted. The nodes go on by
// themselves, everything they said yes to is there, and nothing counts twice. FAILOVER_RUNS says how often.
//
//     FAILOVER_RUNS=20 node --test tests/kill/failover.test.mjs
import { after, test } from 'node:test'
import assert from 'node:assert/strict'
import { cliAsync, startDaemon, until } from '../flow/lib/daemon.mjs'
import { skipOwn as skip, startPair } from '../flow/lib/postgres.mjs'
import { Load, pause, randomOf } from './lib/load.mjs'

const runs = Number(process.env.FAILOVER_RUNS || 1)
const seed = Number(process.env.KILL_SEED || Math.floor(Math.random() * 2 ** 31))
const NODES = 2
const LOAD_MS = 1500 // on average, before the primary dies
const PROMOTED_MS = 15_000 // from the promotion to the first yes of every node
const random = randomOf(seed)
const took = []

async function check(url) {
  const { status, stdout, stderr } = await cliAsync(['check', '--database', url])
  assert.equal(status, 0, `seed ${seed}: ${stdout}${stderr}`)
  assert.match(stdout, /, 0 differ/)
}

const takesWrites = (daemon, i) => daemon.put(`/v1/mailings/after-${i}`, { tenant: 't', subject: 'after' }).then(({ status }) => status === 200, () => false)

async function failOver() {
  const pair = await startPair({ fsync: 'on' })
  const database = await pair.database()
  const nodes = []
  for (let i = 0; i < NODES; i++) nodes.push(await startDaemon({ database }))
  const load = new Load(random, { patient: true })
  await load.setUp(nodes[0])
  const stop = load.start(nodes)
  await pause(300 + random() * 2 * (LOAD_MS - 300))
  await pair.primary.kill()
  await pair.promote()
  const promoted = Date.now()
  for (const [i, node] of nodes.entries())
    await until(() => takesWrites(node, i), PROMOTED_MS, () => `seed ${seed}: node ${i} takes no writes ${PROMOTED_MS} ms after the promotion\n${node.stderr.slice(-2000)}`)
  took.push(Date.now() - promoted)
  await pause(500)
  await stop()
  await check(database)
  await load.everyAnswerIsThere(nodes[NODES - 1])
  for (const [i, node] of nodes.entries()) assert.equal(await node.stop(), 0, `node ${i} ended badly\n${node.stderr.slice(-3000)}`)
  await check(database)
  await pair.end()
}

for (let run = 1; run <= runs; run++) test(`the standby takes over, run ${run} of ${runs} (seed ${seed})`, { skip, timeout: 300_000 }, failOver)

after(() => {
  if (took.length > 0) console.log(`# ms from the promotion to the first writes of all nodes: ${took.sort((a, b) => a - b).join(' ')}`)
})
