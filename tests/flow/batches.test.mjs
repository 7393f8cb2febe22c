// Batches through both doors: sets of jobs, and what is called when they are through.
import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { cli, startDaemon } from './lib/daemon.mjs'
import { enter } from './lib/lines.mjs'

let daemon
const shared = async () => (daemon ??= await startDaemon())
after(() => daemon?.stop())

test('a batch on the worker door answers as the protocol shows', async () => {
  const c = await enter((await shared()).worker, { wid: 'w-batch' })
  c.send('BATCH NEW {"success":{"jobtype":"Done","args":[]}}\r\n')
  assert.equal(await c.line(), '$14')
  const bid = await c.line()
  assert.match(bid, /^b-[0-9a-z]{12}$/)
  assert.equal(await c.ask(`PUSH {"jid":"j-00000002","jobtype":"t","args":[],"custom":{"bid":"${bid}"}}`), '+OK')
  assert.equal((await c.json(`BATCH STATUS ${bid}`)).pending, 1)
  assert.equal(await c.ask(`BATCH COMMIT ${bid}`), '+OK')
  assert.equal((await c.json('FETCH default')).jid, 'j-00000002')
  assert.equal(await c.ask('ACK {"jid":"j-00000002"}'), '+OK')
  const status = await c.json(`BATCH STATUS ${bid}`)
  assert.match(status.created_at, /^\d{4}-.*Z$/)
  assert.deepEqual(status, { bid, created_at: status.created_at, total: 1, pending: 0, failed: 0, complete_st: '', success_st: '1' })
  const done = await c.json('FETCH default')
  assert.deepEqual([done.jobtype, done.custom], ['Done', { _bid: bid }])
  assert.equal(await c.ask(`ACK {"jid":"${done.jid}"}`), '+OK')
  assert.equal((await c.json(`BATCH STATUS ${bid}`)).success_st, '2')
  assert.equal(await c.ask(`BATCH OPEN ${bid}`), bid)
  assert.equal(await c.ask(`BATCH COMMIT ${bid}`), '+OK')
  assert.equal((await c.json(`BATCH STATUS ${bid}`)).success_st, '2')
})

test('what no batch is, and what none can be, is refused in words that clients look for', async () => {
  const c = await enter((await shared()).worker)
  for (const verb of ['OPEN', 'COMMIT', 'STATUS']) assert.equal(await c.ask(`BATCH ${verb} b-none`), '-ERR No such batch b-none')
  assert.equal(await c.ask('PUSH {"jid":"j-0000lost","jobtype":"t","args":[],"custom":{"bid":"b-none"}}'), '-ERR No such batch b-none')
  assert.equal(await c.ask('PUSH {"jid":"j-0000mine","jobtype":"t","queue":"mine","args":[],"custom":{"bid":"my own"}}'), '+OK')
  assert.match(await c.ask('BATCH NEW {"description":"no callback"}'), /^-ERR a batch needs a callback/)
  assert.match(await c.ask('BATCH NEW {"success":{"args":[]}}'), /^-ERR jobs must have a jobtype parameter/)
  assert.match(await c.ask('BATCH NEW {"success":[]}'), /^-ERR invalid BATCH NEW/)
  assert.match(await c.ask('BATCH NEW {"success":{"jobtype":"a","args":[]},"parent_bid":"b-none"}'), /^-ERR No such batch b-none/)
  const bid = await c.ask('BATCH NEW {"bid":"","description":"Imports","complete":{"jobtype":"a","args":[],"queue":"held"}}')
  const child = await c.ask(`BATCH NEW {"parent_bid":"${bid}","success":{"jobtype":"a","args":[],"queue":"held"}}`)
  const status = await c.json(`BATCH STATUS ${child}`)
  assert.equal(status.parent_bid, bid)
  assert.equal((await c.json(`BATCH STATUS ${bid}`)).description, 'Imports')
})

// The calls of a queue of callbacks, one after the other, each with what is done with it.
async function callbacks(c, queue) {
  const next = async () => c.json(`FETCH ${queue}`)
  const again = (jid, target) => c.ask(`MUTATE {"cmd":"requeue","target":"${target}","filter":{"jids":["${jid}"]}}`)
  const end = (verb, jid) => c.ask(`${verb} {"jid":"${jid}"}`)
  const status = async (bid) => {
    const { total, pending, failed, complete_st, success_st } = await c.json(`BATCH STATUS ${bid}`)
    return [total, pending, failed, complete_st, success_st].join(' ')
  }
  return { next, again, end, status }
}

test('a callback that fails is called and not acked, also while it is dead, and the other one waits for it', async () => {
  const c = await enter((await shared()).worker, { wid: 'w-failing' })
  const { next, again, end, status } = await callbacks(c, 'failing')
  const call = (jobtype) => ({ jobtype, args: [], queue: 'failing', retry: 1 })
  const bid = await c.ask('BATCH NEW ' + JSON.stringify({ complete: call('C'), success: call('S') }))
  for (const jid of ['member-f1', 'member-f2']) await c.ask('PUSH ' + JSON.stringify({ jid, jobtype: 't', args: [], queue: 'failing-members', custom: { bid } }))
  await c.ask(`BATCH COMMIT ${bid}`)
  for (const verb of ['ACK', 'FAIL']) await end(verb, (await c.json('FETCH failing-members')).jid)
  assert.equal(await status(bid), '2 1 1 1 ')
  const { jid: complete } = await next()
  await end('FAIL', complete)
  await again('member-f2', 'retries')
  await end('ACK', (await c.json('FETCH failing-members')).jid)
  assert.equal(await status(bid), '2 0 0 1 ') // all is done, but nobody has heard of complete
  await again(complete, 'retries')
  assert.equal((await next()).jid, complete)
  await end('FAIL', complete)
  assert.equal((await (await shared()).get(`/v1/jobs/${complete}`)).body.state, 'dead')
  assert.equal(await status(bid), '2 0 0 1 ')
  await again(complete, 'dead')
  await end('ACK', (await next()).jid)
  assert.equal(await status(bid), '2 0 0 2 1')
  const { jid: success, jobtype, custom } = await next()
  assert.deepEqual([jobtype, custom], ['S', { _bid: bid }])
  await end('ACK', success)
  assert.equal(await status(bid), '2 0 0 2 2')
})

test('callbacks of a parent wait for the same ones of its children, or for the children where they have none', async () => {
  const c = await enter((await shared()).worker, { wid: 'w-family' })
  const { next, again, end, status } = await callbacks(c, 'family')
  const make = (fields) => c.ask('BATCH NEW ' + JSON.stringify(fields))
  const call = (jobtype) => ({ jobtype, args: [], queue: 'family' })
  const parent = await make({ complete: call('PC'), success: call('PS') })
  const child = await make({ parent_bid: parent, success: call('KS') })
  await c.ask('PUSH ' + JSON.stringify({ jid: 'member-k1', jobtype: 't', args: [], queue: 'family-members', custom: { bid: child } }))
  for (const bid of [parent, child]) await c.ask(`BATCH COMMIT ${bid}`)
  assert.equal(await status(parent), '0 0 0  ')
  await end('FAIL', (await c.json('FETCH family-members')).jid)
  assert.equal(await status(child), '1 1 1  ')
  assert.equal(await status(parent), '0 0 0 1 ') // the child has no complete of its own: it was attempted, and that is it
  const complete = await next()
  assert.equal(complete.jobtype, 'PC')
  await end('ACK', complete.jid)
  await again('member-k1', 'retries')
  await end('ACK', (await c.json('FETCH family-members')).jid)
  assert.deepEqual([await status(child), await status(parent)], ['1 0 0  1', '0 0 0 2 '])
  const childs = await next()
  assert.deepEqual([childs.jobtype, childs.custom._bid], ['KS', child])
  await end('ACK', childs.jid)
  assert.deepEqual([await status(child), await status(parent)], ['1 0 0  2', '0 0 0 2 1'])
  const last = await next()
  assert.deepEqual([last.jobtype, last.custom._bid], ['PS', parent])
  await end('ACK', last.jid)
  assert.equal(await status(parent), '0 0 0 2 2')
})

test('a batch over HTTP is made, filled, committed and read', async () => {
  const d = await shared()
  const made = await d.post('/v1/batches', { description: 'Letters', complete: { jobtype: 'C', args: [], queue: 'calls' }, success: { jobtype: 'S', args: [1], queue: 'calls' } })
  assert.equal(made.status, 201)
  const { id } = made.body
  await d.post('/v1/jobs', { jid: 'letter-01', jobtype: 'letter', queue: 'letters', args: [], batch: id })
  assert.equal((await d.post('/v1/jobs', { jobtype: 'letter', args: [], batch: 'b-none' })).status, 422)
  assert.equal((await d.patch(`/v1/batches/${id}`, { committed: true })).body.committed, true)
  const [job] = (await d.post('/v1/jobs/fetch', { queues: ['letters'] })).body.jobs
  await d.post('/v1/jobs/ack', { leases: [job.lease] })
  const { body } = await d.get(`/v1/batches/${id}`)
  assert.deepEqual(body, { id, description: 'Letters', parent: null, created_at: body.created_at, committed: true, total: 1, pending: 0, failed: 0, cancelled: 0, complete: 'pushed', success: 'waiting' })
  assert.equal((await d.patch(`/v1/batches/${id}`, { open: true })).body.committed, false)
  assert.equal((await d.patch(`/v1/batches/${id}`, {})).status, 422)
  assert.equal((await d.patch('/v1/batches/b-none', { open: true })).status, 404)
  assert.equal((await d.get('/v1/batches/b-none')).status, 404)
  const bad = await d.post('/v1/batches', { success: { jobtype: 'S', args: {} } })
  assert.deepEqual([bad.status, bad.body.errors[0].pointer], [422, '/success/args'])
  assert.equal((await d.post('/v1/batches', { description: 'none' })).status, 422)
  const orphan = await d.post('/v1/batches', { success: { jobtype: 'S', args: [] }, parent: 'b-none' })
  assert.deepEqual([orphan.status, orphan.body.errors[0].pointer], [422, '/parent'])
})

test('a batch of 100000 streamed members calls success exactly once, with kills in between', async () => {
  const d = await startDaemon()
  const members = 100_000
  const { id } = (await d.post('/v1/batches', { success: { jobtype: 'Done', args: [], queue: 'calls' } })).body
  const line = (n) => ({ jid: `member-${String(n).padStart(6, '0')}`, jobtype: 't', queue: 'q', args: [], batch: id })
  let acked = 0
  const work = async (most) => {
    const { jobs } = (await d.post('/v1/jobs/fetch', { queues: ['q'], max: 1000 })).body
    if (jobs.length) acked += (await d.post('/v1/jobs/ack', { leases: jobs.slice(0, most).map((job) => job.lease) })).body.acked
    return jobs.slice(most)
  }
  for (let from = 0; from < members; from += 10_000) {
    const lines = Array.from({ length: 10_000 }, (_, i) => line(from + i))
    const pushed = await d.bulk('/v1/jobs', lines)
    assert.equal(pushed.body.accepted, 10_000)
    for (let i = 0; i < 5; i++) await work(1000)
    if (from % 30_000 === 0) {
      await d.kill()
      await d.start()
      assert.equal((await d.bulk('/v1/jobs', lines)).body.accepted, 0) // said again by a client that heard nothing
      assert.equal((await d.get(`/v1/batches/${id}`)).body.total, from + 10_000)
    }
  }
  await d.patch(`/v1/batches/${id}`, { committed: true })
  let last = []
  while (acked + last.length < members) last = last.concat(await work(999))
  const held = (await d.get(`/v1/batches/${id}`)).body
  assert.deepEqual([held.total, held.pending, held.success], [members, last.length, 'waiting'])
  await d.kill()
  await d.start()
  for (const job of last) assert.equal((await d.post('/v1/jobs/ack', { leases: [job.lease] })).body.acked, 1)
  const over = (await d.get(`/v1/batches/${id}`)).body
  assert.deepEqual([over.total, over.pending, over.success], [members, 0, 'pushed'])
  await d.kill()
  await d.start()
  await d.post('/v1/jobs/ack', { leases: last.map((job) => job.lease) })
  const calls = (await d.post('/v1/jobs/fetch', { queues: ['calls'], max: 10 })).body.jobs
  assert.deepEqual(calls.map((job) => [job.jobtype, job.custom._bid]), [['Done', id]])
  await d.stop()
  const check = await cli(['check', ...d.store])
  assert.equal(check.status, 0, check.stdout)
})
