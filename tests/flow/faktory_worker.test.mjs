// The npm package faktory-worker, unchanged, as producer and as worker.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import faktory from 'faktory-worker'
import { startDaemon, until } from './lib/daemon.mjs'
import { enter } from './lib/lines.mjs'

const { Client, Worker } = faktory
const ends = []
after(async () => {
  for (const end of ends.reverse()) await end()
})

async function started(options) {
  const daemon = await startDaemon(options)
  const [host, port] = daemon.worker.split(':')
  return { daemon, at: { host, port } }
}

function client(options) {
  const made = new Client(options)
  ends.push(() => made.close())
  return made
}

async function working(options) {
  const worker = new Worker({ shutdownTimeout: 5, ...options })
  worker.on('error', () => {}) // a job that fails; the test looks at what the daemon knows
  await worker.work()
  let stopped
  worker.end = () => (stopped ??= worker.stop())
  ends.push(worker.end)
  return worker
}

test('ten thousand jobs are pushed, run once each and acknowledged', async () => {
  const { at } = await started()
  const producer = client(at)
  const seen = new Map()
  const worker = await working({ ...at, concurrency: 20, queues: ['bulk', 'single'], registry: { Count: (n) => void seen.set(n, (seen.get(n) ?? 0) + 1) } })
  for (let from = 0; from < 9000; from += 1000) {
    const jobs = Array.from({ length: 1000 }, (_, i) => {
      const job = producer.job('Count', from + i)
      job.queue = 'bulk'
      return job
    })
    assert.deepEqual(await producer.pushBulk(jobs), {})
  }
  const pushes = Array.from({ length: 1000 }, (_, i) => {
    const job = producer.job('Count', 9000 + i)
    job.queue = 'single'
    return job.push()
  })
  await Promise.all(pushes)
  await until(() => seen.size === 10_000, 120_000, () => `${seen.size} of 10000 ran`)
  await until(async () => (await producer.info()).faktory.sets.working === 0)
  await worker.end()
  assert.ok([...seen.values()].every((times) => times === 1))
  const { faktory } = await producer.info()
  assert.equal(faktory.total_processed, 10_000)
  assert.equal(faktory.total_failures, 0)
  assert.deepEqual([faktory.queues.bulk, faktory.queues.single], [0, 0])
})

test('a failing job is kept with its error and its number of attempts', async () => {
  const { at, daemon } = await started()
  const producer = client(at)
  const worker = await working({
    ...at,
    registry: {
      Break: () => {
        throw Object.assign(new Error('no such file'), { code: 'ENOENT' })
      },
    },
  })
  const kept = producer.job('Break', 1)
  kept.retry = 3
  await kept.push()
  const once = producer.job('Break', 2)
  once.retry = 0
  await once.push()
  const dead = producer.job('Break', 3)
  dead.retry = -1
  await dead.push()
  await until(async () => (await producer.info()).faktory.total_failures === 3)
  await worker.end()
  const { sets } = (await producer.info()).faktory
  assert.deepEqual([sets.retries, sets.dead, sets.working], [1, 1, 0])
  assert.ok(daemon.running)
})

test('a job scheduled for later runs later', async () => {
  const { at } = await started()
  const producer = client(at)
  const ran = []
  await working({ ...at, registry: { Later: (n) => void ran.push([n, Date.now()]) } })
  const job = producer.job('Later', 7)
  const due = Date.now() + 1500
  job.at = new Date(due).toISOString()
  await job.push()
  assert.equal((await producer.info()).faktory.sets.scheduled, 1)
  await until(() => ran.length === 1)
  assert.ok(ran[0][1] >= due - 5, `${due - ran[0][1]} ms early`)
})

test('a worker that is told to be quiet or to terminate obeys with its next beat', async () => {
  const { at, daemon } = await started()
  const ran = []
  const worker = await working({ ...at, wid: 'w-quiet', beatInterval: 0.2, registry: { Any: (n) => void ran.push(n) } })
  const c = await enter(daemon.worker, { wid: 'w-quiet' })
  assert.equal(await c.ask('BEAT {"wid":"w-quiet","current_state":"quiet"}'), '{"state":"quiet"}')
  await until(() => worker.quieted)
  assert.equal(await c.ask('BEAT {"wid":"w-quiet","current_state":"terminate"}'), '{"state":"terminate"}')
  await until(async () => (await c.json('INFO')).server.connections === 1)
  c.close()
  assert.deepEqual(ran, [])
})

test('the password of the URL opens the door, a wrong one does not', async () => {
  const { daemon } = await started({ config: '[worker]\npassword = p@ss wörd\n' })
  const producer = client({ url: `tcp://:${encodeURIComponent('p@ss wörd')}@${daemon.worker}` })
  assert.match(await producer.push({ jobtype: 'Any', args: [], queue: 'q' }), /^[0-9a-f-]{36}$/)
  assert.equal((await producer.info()).faktory.queues.q, 1)
  const stranger = new Client({ url: `tcp://:wrong@${daemon.worker}` })
  await assert.rejects(stranger.connect(), /Invalid password/)
})

test('scheduled, failed and dead jobs are moved by the mutations of the client', async () => {
  const { at } = await started()
  const producer = client(at)
  const sets = async () => (({ scheduled, retries, dead }) => [scheduled, retries, dead])((await producer.info()).faktory.sets)
  const later = async (type, ...args) => {
    const job = producer.job(type, ...args)
    job.at = new Date(Date.now() + 3600_000)
    return job.push()
  }
  const jids = [await later('A', 1), await later('A', 2), await later('B', 1)]
  await producer.scheduled.ofType('A').withJids(jids[0]).kill()
  assert.deepEqual(await sets(), [2, 0, 1])
  await producer.scheduled.ofType('B').requeue()
  assert.deepEqual(await sets(), [1, 0, 1])
  assert.equal((await producer.fetch('default')).jid, jids[2])
  await producer.fail(jids[2], new Error('broken'))
  assert.deepEqual(await sets(), [1, 1, 1])
  await producer.retries.ofType('B').discard()
  await producer.scheduled.matching('*"args":\\[2\\]*').discard()
  assert.deepEqual(await sets(), [0, 0, 1])
  await producer.dead.clear()
  assert.deepEqual(await sets(), [0, 0, 0])
})

// The package knows no batches; its client sends what it is told, and its worker runs their jobs like all others.
test('a batch of jobs of which one fails at first calls complete, and success when all were done', async () => {
  const { at } = await started()
  const producer = client(at)
  const status = async (bid) => JSON.parse(await producer.send(['BATCH STATUS', bid]))
  const calls = []
  let attempts = 0
  const registry = {
    Member: (n) => {
      if (n === 1 && ++attempts === 1) throw new Error('not yet')
    },
    Complete: (word) => async ({ job }) => void calls.push([word, job.custom._bid]),
    Success: (word) => async ({ job }) => void calls.push([word, job.custom._bid]),
  }
  const callback = (jobtype, word) => ({ jobtype, args: [word], queue: 'default' })
  const bid = await producer.send(['BATCH NEW', JSON.stringify({ description: 'd', complete: callback('Complete', 'c'), success: callback('Success', 's') })])
  assert.match(bid, /^b-/)
  for (let n = 0; n < 3; n++) {
    const job = producer.job('Member', n)
    job.custom = { bid }
    await job.push()
  }
  assert.equal(await producer.send(['BATCH COMMIT', bid]), 'OK')
  const worker = await working({ ...at, concurrency: 1, registry })
  await until(() => calls.length === 1)
  assert.deepEqual((({ total, pending, failed }) => [total, pending, failed])(await status(bid)), [3, 1, 1])
  await producer.retries.ofType('Member').requeue()
  await until(async () => (await status(bid)).success_st === '2')
  assert.deepEqual(calls, [['c', bid], ['s', bid]])
  assert.deepEqual((({ pending, failed, complete_st }) => [pending, failed, complete_st])(await status(bid)), [0, 0, '2'])
  await worker.end()
})

test('a tracked job is followed while the worker runs it, and one of two equal unique jobs is taken', async () => {
  const { at } = await started()
  const producer = client(at)
  const track = async (jid) => JSON.parse(await producer.send(['TRACK GET', jid]))
  let finish
  const registry = {
    Long: () => async ({ job }) => {
      await producer.send(['TRACK SET', JSON.stringify({ jid: job.jid, percent: 40, desc: 'under way' })])
      await new Promise((resolve) => (finish = resolve))
    },
  }
  const long = () => {
    const job = producer.job('Long', 1)
    job.custom = { track: 1, unique_for: 600 }
    return job
  }
  const jid = await long().push()
  await assert.rejects(long().push(), /Job not unique/)
  assert.equal((await track(jid)).state, 'enqueued')
  const worker = await working({ ...at, registry })
  await until(async () => (await track(jid)).percent === 40)
  assert.equal((await track(jid)).state, 'working')
  await until(() => finish)
  finish()
  await until(async () => (await track(jid)).state === 'success')
  const { percent, desc } = await track(jid)
  assert.deepEqual([percent, desc], [40, 'under way'])
  await worker.end()
  assert.match(await long().push(), /^[0-9a-f-]{36}$/)
})
