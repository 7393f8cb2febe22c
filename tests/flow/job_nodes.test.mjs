// Limits of queues over several nodes on one PostgreSQL, as the workers themselves see them. JOBS_LIMIT says how many jobs
// (a few hundred in `make test`), WORK_MS how long each takes:
//
//     JOBS_LIMIT=10000 WORK_MS=100 node --test tests/flow/job_nodes.test.mjs
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { startDaemon } from './lib/daemon.mjs'
import { enter } from './lib/lines.mjs'
import { postgres, skip } from './lib/postgres.mjs'

const JOBS = Number(process.env.JOBS_LIMIT || 400)
const SLOTS = 5
const OWN_SLOTS = 2 // of each node
const WORK_MS = Number(process.env.WORK_MS || 20)
const WORKERS = 4 // of each node
const RATE = 20 // a second
const RATED = 40
const CLOCK_MS = 2 // a time of life is told from an even one, and may be told a little differently

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms))

async function startNodes(count) {
  const database = await (await postgres()).database()
  const nodes = []
  for (let i = 0; i < count; i++) nodes.push(await startDaemon({ database }))
  return nodes
}

async function pushAll(daemon, queue, count) {
  const jobs = Array.from({ length: count }, (_, i) => ({ jid: `${queue}-${String(i).padStart(6, '0')}`, jobtype: 't', queue, args: [i] }))
  for (let i = 0; i < count; i += 1000) assert.equal((await daemon.bulk('/v1/jobs', jobs.slice(i, i + 1000))).body.rejected.length, 0)
}

// Workers at all nodes do `count` jobs; does(jid, node) is the work.
async function workAll(nodes, queue, count, perNode, does) {
  let done = 0
  const doors = []
  const work = async (node, name) => {
    const door = await enter(nodes[node].worker, { wid: name })
    doors.push(door)
    while (done < count) {
      const job = await door.json(`FETCH ${queue}`)
      if (!job) continue
      await does(job.jid, node)
      assert.equal(await door.ask(`ACK {"jid":"${job.jid}"}`), '+OK')
      if (++done === count) for (const other of doors) other.close() // those that wait need not wait any more
    }
  }
  const all = nodes.flatMap((_, node) => Array.from({ length: perNode }, (_, i) => work(node, `w-${node}-${i}`)))
  await Promise.all(all.map((one) => one.catch((error) => {
    if (done < count || error instanceof assert.AssertionError) throw error
  })))
}

test(`of ${SLOTS} slots over three nodes never more are taken than that, as the workers see it`, { skip }, async (t) => {
  const nodes = await startNodes(3)
  assert.equal((await nodes[0].patch('/v1/queues/slow', { concurrency: SLOTS })).status, 200)
  await pushAll(nodes[0], 'slow', JOBS)
  const ran = new Set()
  const parts = [0, 0, 0]
  let [now, most, worked_ms] = [0, 0, 0]
  const began = performance.now()
  await workAll(nodes, 'slow', JOBS, WORKERS, async (jid, node) => {
    assert.ok(!ran.has(jid), `${jid} ran twice`)
    ran.add(jid)
    parts[node]++
    most = Math.max(most, ++now)
    const started = performance.now()
    await pause(WORK_MS)
    worked_ms += performance.now() - started // a timer is late, and later on a busy machine
    now--
  })
  const took_ms = performance.now() - began
  assert.ok(most <= SLOTS, `${most} jobs ran at once`)
  assert.equal(most, SLOTS, 'slots stayed empty')
  assert.equal(ran.size, JOBS)
  const told = `${JOBS} jobs of ${WORK_MS} ms, ${(worked_ms / JOBS).toFixed(1)} as worked, in ${SLOTS} slots took ${took_ms.toFixed(0)} ms`
  const times = (ms) => (took_ms / ((JOBS * ms) / SLOTS)).toFixed(3)
  t.diagnostic(`${told}: ${times(WORK_MS)} times the ideal, ${times(worked_ms / JOBS)} of work as it was; at the nodes ${parts}`)
  for (const node of nodes) assert.equal(await node.stop(), 0)
})

test('of three nodes each has its own slots, as the workers see it', { skip }, async (t) => {
  const nodes = await startNodes(3)
  assert.equal((await nodes[0].patch('/v1/queues/own', { node_concurrency: OWN_SLOTS })).status, 200)
  await pushAll(nodes[0], 'own', JOBS)
  const [now, most] = [[0, 0, 0], [0, 0, 0]]
  await workAll(nodes, 'own', JOBS, WORKERS, async (_, node) => {
    most[node] = Math.max(most[node], ++now[node])
    await pause(WORK_MS)
    now[node]--
  })
  assert.deepEqual(most, [OWN_SLOTS, OWN_SLOTS, OWN_SLOTS])
  t.diagnostic(`${JOBS} jobs; at once at the nodes ${most}`)
  for (const node of nodes) assert.equal(await node.stop(), 0)
})

test('a rate over two nodes is one rate, as the attempts say', { skip }, async (t) => {
  const nodes = await startNodes(2)
  assert.equal((await nodes[0].patch('/v1/queues/even', { rate: { limit: RATE, per: '1s' } })).status, 200)
  await pushAll(nodes[1], 'even', RATED)
  const parts = [0, 0]
  const began = Date.now()
  await workAll(nodes, 'even', RATED, 2, async (_, node) => parts[node]++)
  const took_ms = Date.now() - began
  const starts = []
  for (const { jid } of await nodes[0].list('/v1/jobs?state=done&queue=even')) starts.push(Date.parse((await nodes[0].get(`/v1/jobs/${jid}`)).body.attempts[0].started_at))
  assert.equal(starts.length, RATED)
  starts.sort((a, b) => a - b)
  for (let i = RATE; i < RATED; i++) assert.ok(starts[i] - starts[i - RATE] >= 1000 - CLOCK_MS, `${RATE + 1} starts in ${starts[i] - starts[i - RATE]} ms`)
  t.diagnostic(`${RATED} starts at ${RATE} a second took ${took_ms} ms, ${(took_ms / (((RATED - 1) * 1000) / RATE)).toFixed(2)} times the ideal; at the nodes ${parts}`)
  for (const node of nodes) assert.equal(await node.stop(), 0)
})
