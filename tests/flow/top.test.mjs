// What goes on, at a glance.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { cli, startDaemon } from './lib/daemon.mjs'

test('top prints one frame with queues, their rates, workers and sources where there is no terminal', async () => {
  const daemon = await startDaemon()
  const top = (...args) => cli(['top', ...args, '--url', daemon.url])
  assert.equal(top('--once').stdout, 'no queues\n\nno workers\n\nno sources\n')
  for (let i = 0; i < 3; i++) await daemon.post('/v1/jobs', { jobtype: 'a', queue: 'mail', args: [] })
  await daemon.post('/v1/workers/w-1/beat', {})
  await daemon.post('/v1/jobs/fetch', { queues: ['mail'], max: 1, worker: 'w-1' })
  await daemon.put('/v1/sources/mg', { type: 'mailgun', base_url: 'http://127.0.0.1:9', domain: 'mg.example', api_key: 'k' })
  const { stdout, status } = top()
  assert.equal(status, 0)
  assert.match(stdout, /^QUEUE +READY +LEASED +RETRY +DEAD +IN\/MIN +OUT\/MIN +LAG_S +PAUSED$/m)
  assert.match(stdout, /^mail +2 +1 +0 +0 +3 +0 /m)
  assert.match(stdout, /^w-1 +running .* 1 /m)
  assert.match(stdout, /^mg +opens /m)
  assert.ok(!stdout.includes('\x1b'))
  const seen = JSON.parse(top('--json').stdout)
  assert.deepEqual([seen.queues.items[0].ready, seen.workers.items[0].leased, seen.lanes[0].source], [2, 1, 'mg'])
  await daemon.stop()
  assert.equal(top('--once').status, 69)
})
