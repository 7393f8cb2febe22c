// What jobs say of themselves while they run: TRACK on the worker door, percent and desc over HTTP.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { startDaemon, until } from './lib/daemon.mjs'
import { enter } from './lib/lines.mjs'

test('a tracked job tells how far it is, and an unknown one that it is unknown', async () => {
  const daemon = await startDaemon()
  const c = await enter(daemon.worker, { wid: 'w-track' })
  c.send('TRACK GET nope-nope\r\n')
  assert.equal(await c.line(), '$53')
  assert.equal(await c.line(), '{"jid":"nope-nope","state":"unknown","updated_at":""}')
  assert.equal(await c.ask('PUSH {"jid":"tracked-1","jobtype":"t","args":[],"custom":{"track":1}}'), '+OK')
  const state = async () => {
    const { updated_at: at, ...rest } = await c.json('TRACK GET tracked-1')
    assert.ok(Math.abs(Date.parse(at) - Date.now()) < 60_000)
    return rest
  }
  assert.deepEqual(await state(), { jid: 'tracked-1', state: 'enqueued' })
  await c.json('FETCH default')
  assert.equal(await c.ask('TRACK SET {"jid":"tracked-1","percent":12,"desc":"reading"}'), '+OK')
  assert.equal(await c.ask('TRACK SET {"jid":"tracked-1","percent":13,"desc":null}'), '+OK')
  assert.deepEqual(await state(), { jid: 'tracked-1', state: 'working', percent: 13, desc: 'reading' })
  assert.equal(await c.ask('ACK {"jid":"tracked-1"}'), '+OK')
  assert.deepEqual(await state(), { jid: 'tracked-1', state: 'success', percent: 13, desc: 'reading' })
  await daemon.stop()
})

test('percent and desc of an extend are shown with the job', async () => {
  const daemon = await startDaemon()
  await daemon.post('/v1/jobs', { jid: 'slow-0001', jobtype: 't', queue: 'q', args: [] })
  const [{ lease }] = (await daemon.post('/v1/jobs/fetch', { queues: ['q'] })).body.jobs
  assert.equal((await daemon.post('/v1/jobs/extend', { lease, for: '10m', percent: 30, desc: 'half of it' })).status, 200)
  assert.equal((await daemon.post('/v1/jobs/extend', { lease, for: '10m', percent: 31 })).status, 200)
  const progress = async () => (await daemon.get('/v1/jobs/slow-0001')).body.progress
  assert.equal((await progress()).desc, 'half of it')
  await until(async () => (await progress()).percent === 31)
  assert.equal((await daemon.post('/v1/jobs/extend', { lease, for: '10m', percent: 101 })).status, 422)
  await daemon.stop()
})
