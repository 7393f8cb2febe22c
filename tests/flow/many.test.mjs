// Verbs of our own on the worker door: many jobs in one command.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startDaemon } from './lib/daemon.mjs'
import { enter } from './lib/lines.mjs'

// WORK-10
test('FETCHB, ACKB, FAILB and EXTEND take many jobs in one command and name what they refuse', async () => {
  const daemon = await startDaemon()
  const c = await enter(daemon.worker, { wid: 'w-many' })
  assert.deepEqual((await c.json('INFO')).server.posthouse.verbs, ['FETCHB', 'ACKB', 'FAILB', 'EXTEND'])
  const jids = Array.from({ length: 6 }, (_, i) => `many-000${i}`)
  assert.equal(await c.ask(`PUSHB [${jids.map((jid) => JSON.stringify({ jid, jobtype: 't', queue: 'q', args: [] }))}]`), '{}')
  assert.deepEqual((await c.json('FETCHB 4 other q')).map((job) => job.jid), jids.slice(0, 4))
  assert.equal(await c.ask('ACKB ["many-0000","many-0001","many-none"]'), '{"many-none":"unknown"}')
  assert.equal(await c.ask('ACKB ["many-0000"]'), '{}')
  assert.equal(await c.ask('FAILB [{"jid":"many-0002","errtype":"E","message":"m"},{"jid":"many-0005"}]'), '{"many-0005":"Job not found"}')
  assert.equal((await daemon.get('/v1/jobs/many-0002')).body.state, 'retry')
  const until = new Date(Date.now() + 7_200_000).toISOString()
  assert.equal(await c.ask(`EXTEND {"jid":"many-0003","reserve_until":"${until}"}`), '+OK')
  const { lease_until: end } = (await daemon.get('/v1/jobs/many-0003')).body
  assert.ok(Math.abs(Date.parse(end) - Date.parse(until)) < 5_000)
  assert.equal(await c.ask(`EXTEND {"jid":"many-0005","reserve_until":"${until}"}`), '-ERR Job not found many-0005')
  assert.match(await c.ask('EXTEND {"jid":"many-0003"}'), /^-ERR invalid EXTEND/)
  assert.match(await c.ask('FETCHB q'), /^-ERR FETCHB needs a number of jobs from 1 to 1000/)
  assert.match(await c.ask('ACKB {}'), /^-ERR invalid ACKB/)
  assert.match(await c.ask('FAILB {}'), /^-ERR invalid FAILB/)
  assert.equal((await c.json('FETCHB 2 q')).length, 2)
  assert.deepEqual(await c.json('FAILB [1,{},{"jid":"many-0004"},{"jid":5}]'), { '': 'invalid FAIL {"jid":5}' }) // each alone
  assert.deepEqual(await c.json('ACKB [5,"many-0005",""]'), { '': 'unknown' })
  assert.deepEqual(await Promise.all(['many-0004', 'many-0005'].map(async (jid) => (await daemon.get(`/v1/jobs/${jid}`)).body.state)), ['retry', 'done'])
  assert.equal(await c.ask('FETCHB 5 nothing'), '[]')
  assert.equal(await c.ask('ACKB ["many-0003"]'), '{}') // a stop would wait for it
  await daemon.stop()
})
