// Queues with a handler: jobs as calls of a URL, signed, with a breaker; jobs as commands.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import http from 'node:http'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { once } from 'node:events'
import { Webhook } from 'standardwebhooks'
import { folder, startDaemon, untilIs as until } from './lib/daemon.mjs'

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'

// An application that answers as `answer(call)` says: { status, headers, body }, or 'drop', or a promise of either.
async function application(answer) {
  const calls = []
  const server = http.createServer((request, response) => {
    let text = ''
    request.setEncoding('utf8').on('data', (piece) => (text += piece))
    request.on('end', async () => {
      const call = { headers: request.headers, text, job: JSON.parse(text), at: Date.now() }
      calls.push(call)
      const given = (await answer(call, calls)) ?? {}
      if (given === 'drop') return request.socket.destroy()
      response.writeHead(given.status ?? 200, given.headers ?? {})
      response.end(given.body ?? '')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address()
  return {
    calls, port, url: `http://127.0.0.1:${port}/work`,
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

const push = async (daemon, jid, more = {}) =>
  assert.equal((await daemon.post('/v1/jobs', { jid, jobtype: 'mail', queue: 'q', args: [1], ...more })).status, 201)
const job = async (daemon, jid) => (await daemon.get(`/v1/jobs/${jid}`)).body
const handler = (app, more = {}) => ({ handler: { kind: 'http', url: app.url, secret: SECRET, ...more } })

test('a job of an http queue is a signed call, and a good answer is its result', async () => {
  const daemon = await startDaemon()
  const app = await application(() => ({ body: '{"sent": 3}' }))
  const patched = await daemon.patch('/v1/queues/q', handler(app))
  assert.equal(patched.status, 200)
  assert.deepEqual(patched.body.handler, { kind: 'http', url: app.url, secret: 'set', internal: true })
  const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  await push(daemon, 'job-0001', { custom: { traceparent: trace } })
  const done = await until(async () => (await job(daemon, 'job-0001')), (seen) => seen.state === 'done')
  assert.deepEqual([done.outcome, done.result], ['done', { sent: 3 }])
  const [call] = app.calls
  assert.deepEqual([call.job.jid, call.job.args, call.job.attempt], ['job-0001', [1], 1])
  assert.equal(call.headers['content-type'], 'application/json')
  assert.equal(call.headers['idempotency-key'], 'job-0001')
  assert.equal(call.headers['webhook-id'], 'job-0001')
  assert.equal(call.headers.traceparent, trace)
  assert.ok(call.headers['posthouse-lease'])
  assert.deepEqual(new Webhook(SECRET).verify(call.text, call.headers), call.job)
  assert.throws(() => new Webhook(SECRET).verify(call.text.replace('1', '2'), call.headers))
  const shown = JSON.stringify((await daemon.get('/v1/audit')).body)
  assert.ok(shown.includes('queue.patch') && !shown.includes(SECRET))
  await app.close()
  await daemon.stop()
})

test('while a secret is rotated both signatures are sent', async () => {
  const daemon = await startDaemon()
  const app = await application(() => ({ status: 204 }))
  const fresh = `whsec_${Buffer.from('a fresh secret of bytes').toString('base64')}`
  await daemon.patch('/v1/queues/q', handler(app, { secret: fresh, old_secret: SECRET }))
  await push(daemon, 'job-0001')
  await until(async () => app.calls.length, (n) => n === 1)
  const [{ text, headers }] = app.calls
  for (const secret of [fresh, SECRET]) new Webhook(secret).verify(text, headers)
  assert.equal(headers['webhook-signature'].split(' ').length, 2)
  await app.close()
  await daemon.stop()
})

test('each answer has its effect on the job', async () => {
  const daemon = await startDaemon()
  const app = await application(({ job: { args: [answer] } }) => answer)
  await daemon.patch('/v1/queues/q', handler(app))
  const after = async (answer, wanted) => {
    const jid = `job-${JSON.stringify(answer).replace(/\W/g, '')}`
    await push(daemon, jid, { args: [answer] })
    return until(async () => job(daemon, jid), (seen) => seen.state === wanted)
  }
  assert.equal((await after({ status: 201, body: 'not json' }, 'done')).result, 'not json')
  const snoozed = await after({ status: 429, headers: { 'Retry-After': '60' } }, 'scheduled')
  assert.deepEqual(snoozed.attempts.map((attempt) => attempt.outcome), ['snoozed'])
  const wait = Date.parse(snoozed.due_at) - Date.now()
  assert.ok(wait > 50_000 && wait < 61_000, `${wait}`)
  const gone = await after({ status: 410, body: 'no such thing' }, 'dead')
  assert.deepEqual([gone.reason, gone.failure.message], ['handler-gone', 'no such thing'])
  assert.equal((await after({ status: 422 }, 'dead')).reason, 'final')
  assert.equal((await after({ status: 404 }, 'retry')).failure.message, 'the handler answered 404')
  assert.equal((await after({ status: 302, headers: { Location: '/elsewhere' } }, 'retry')).failure.errtype, 'HttpStatus')
  assert.equal((await after({ status: 500 }, 'retry')).attempts.length, 1)
  assert.equal((await after('drop', 'retry')).failure.errtype, 'HttpBroken')
  await app.close()
  await daemon.stop()
})

test('after 202 the application ends the job with its lease', async () => {
  const daemon = await startDaemon()
  const app = await application(() => ({ status: 202 }))
  await daemon.patch('/v1/queues/q', handler(app))
  await push(daemon, 'job-0001')
  await until(async () => app.calls.length, (n) => n === 1)
  const nobodyHasIt = async () => (await daemon.get('/v1/workers')).body.items.every(({ leased }) => leased === 0)
  await until(nobodyHasIt, (over) => over)
  assert.equal((await job(daemon, 'job-0001')).state, 'leased')
  await daemon.kill()
  await daemon.start() // what was handed over is not begun again
  const ack = await daemon.post('/v1/jobs/ack', { leases: [app.calls[0].headers['posthouse-lease']] })
  assert.deepEqual(ack.body, { acked: 1, stale: [] })
  assert.equal(app.calls.length, 1)
  await app.close()
  await daemon.stop()
})

test('private addresses are called only when an admin set them, link-local ones never', async () => {
  const daemon = await startDaemon()
  const app = await application(() => ({}))
  const { token } = (await daemon.post('/v1/tokens', { name: 'writer', scopes: ['write'] })).body
  assert.equal((await daemon.patch('/v1/queues/q', handler(app), { token })).status, 200)
  await push(daemon, 'job-0001')
  const url = 'http://169.254.169.254/latest'
  await daemon.patch('/v1/queues/far', { handler: { kind: 'http', url, secret: SECRET } })
  await push(daemon, 'job-0002', { queue: 'far' })
  for (const name of ['q', 'far'])
    await until(async () => (await daemon.get(`/v1/queues/${name}`)).body, (queue) => queue.handler_down_until)
  for (const jid of ['job-0001', 'job-0002']) {
    const seen = await job(daemon, jid)
    assert.deepEqual([seen.state, seen.attempts], ['ready', []])
  }
  assert.equal(app.calls.length, 0)
  const sneaky = { handler: { kind: 'http', url: app.url, secret: SECRET, internal: true } }
  assert.equal((await daemon.patch('/v1/queues/q', sneaky, { token })).status, 422)
  await daemon.patch('/v1/queues/q', handler(app, { url: `${app.url}?admin` }))
  await until(async () => (await job(daemon, 'job-0001')).state, (state) => state === 'done')
  await app.close()
  await daemon.stop()
})

test('a handler that is down burns no attempts and is asked again when its pause is over', async () => {
  const daemon = await startDaemon()
  const app = await application(() => ({}))
  await app.close()
  await daemon.patch('/v1/queues/q', { concurrency: 2, ...handler(app) })
  for (let i = 0; i < 5; i++) await push(daemon, `job-000${i}`)
  const down = await until(async () => (await daemon.get('/v1/queues/q')).body, (queue) => queue.handler_down_until)
  const pause = Date.parse(down.handler_down_until) - Date.now()
  assert.ok(pause > 20_000 && pause <= 30_500, `${pause}`)
  const queue = await until(async () => (await daemon.get('/v1/queues/q')).body, (seen) => seen.leased === 0)
  assert.equal(queue.ready, 5)
  for (let i = 0; i < 5; i++) assert.deepEqual((await job(daemon, `job-000${i}`)).attempts, [])
  await daemon.stop()
})

test('the log of events hears when a handler goes down and when it is back', async () => {
  const daemon = await startDaemon()
  let resume
  const app = await application(({ job: { jid } }) =>
    jid === 'job-slow' ? new Promise((answer) => (resume = answer)) : { status: 500 })
  await daemon.patch('/v1/queues/q', { concurrency: 11, retry: { max: -1 }, ...handler(app) })
  await push(daemon, 'job-slow')
  await until(async () => app.calls.length, (n) => n === 1)
  for (let i = 0; i < 10; i++) await push(daemon, `job-000${i}`)
  await until(async () => (await daemon.get('/v1/queues/q')).body, (queue) => queue.handler_down_until)
  resume({}) // it was under way when the others failed, and shows that the application is there
  await until(async () => (await daemon.get('/v1/queues/q')).body, (queue) => !queue.handler_down_until)
  const { items } = (await daemon.get('/v1/events?limit=100')).body
  const told = items.reverse().filter(({ type }) => type.startsWith('handler.'))
  assert.deepEqual(told.map(({ type, source, subject }) => [type, source, subject]),
    [['handler.down', 'posthouse', 'q'], ['handler.up', 'posthouse', 'q']])
  assert.equal(told[0].data.url, app.url)
  assert.deepEqual(items.filter(({ type }) => type === 'job.dead').map(({ data }) => data.reason), Array(10).fill('exhausted'))
  await app.close()
  await daemon.stop()
})

test('what a handler was doing when the daemon died is begun again at once', async () => {
  const daemon = await startDaemon()
  let slow = true
  const app = await application(() => (slow ? new Promise(() => {}) : {}))
  await daemon.patch('/v1/queues/q', handler(app))
  await push(daemon, 'job-0001')
  await until(async () => app.calls.length, (n) => n === 1)
  await daemon.kill()
  slow = false
  await daemon.start()
  const done = await until(async () => job(daemon, 'job-0001'), (seen) => seen.state === 'done')
  assert.deepEqual(done.attempts.map((attempt) => attempt.outcome), ['lost', 'done'])
  await app.close()
  await daemon.stop()
})

test('a stop waits for calls, and what it cuts off is run after the next start without a failure', async () => {
  const daemon = await startDaemon({ config: '[server]\nstop = 1s\n' })
  const finish = []
  const app = await application(({ job: { jid } }, calls) =>
    jid === 'job-0001' || calls.length > 2 ? {} : new Promise((resume) => finish.push(resume)))
  await daemon.patch('/v1/queues/q', handler(app))
  await push(daemon, 'job-0002')
  await until(async () => app.calls.length, (n) => n === 1)
  assert.equal(await daemon.stop(), 0)
  await daemon.start()
  await until(async () => app.calls.length, (n) => n === 2)
  const ending = daemon.stop()
  finish.forEach((resume) => resume({}))
  await ending
  await daemon.start()
  const done = await until(async () => job(daemon, 'job-0002'), (seen) => seen.state === 'done')
  assert.deepEqual(done.attempts.map((attempt) => attempt.outcome), ['done'])
  assert.equal(app.calls.length, 2)
  await app.close()
  await daemon.stop()
})

test('a handler that cannot be is refused with the place of the mistake', async () => {
  const daemon = await startDaemon()
  for (const [given, pointer] of [
    [{ kind: 'nonsense' }, '/handler/kind'], [{ kind: 'http', secret: SECRET }, '/handler/url'],
    [{ kind: 'http', url: 'ftp://x.example/', secret: SECRET }, '/handler/url'],
    [{ kind: 'http', url: 'http://x.example/', secret: 'plain' }, '/handler/secret'],
    [{ kind: 'http', url: 'http://x.example/' }, '/handler/secret'],
    [{ kind: 'http', url: 'http://x.example/', secret: SECRET, timeout: '1h' }, '/lease'],
    [{ kind: 'builtin' }, '/handler/kind'],
  ]) {
    const { status, body } = await daemon.patch('/v1/queues/q', { handler: given })
    assert.equal(status, 422, JSON.stringify(given))
    assert.equal(body.errors[0].pointer, pointer)
  }
  await daemon.stop()
})

// --- commands

// A daemon with commands: scripts of sh in a folder of their own, by name.
async function withCommands(scripts, more = {}) {
  const place = folder()
  let config = '[server]\nstop = 20s\n'
  for (const [name, text] of Object.entries(scripts)) {
    const path = join(place, name)
    writeFileSync(path, `#!/bin/sh\n${text}\n`, { mode: 0o755 })
    config += `[exec ${name}]\ncommand = ${path} --fast two\n${more[name] ?? ''}\n`
  }
  const daemon = await startDaemon({ config })
  for (const name of Object.keys(scripts))
    assert.equal((await daemon.patch(`/v1/queues/${name}`, { handler: { kind: 'exec', command: name } })).status, 200)
  return { daemon, place, push: (name, jid, job = {}) => push(daemon, jid, { queue: name, ...job }) }
}

test('a job of an exec queue is a process that reads it and whose end decides', async () => {
  const { daemon, push: give } = await withCommands({
    good: 'cat >/dev/null; echo "{\\"words\\":\\"$*\\",\\"jid\\":\\"$POSTHOUSE_JID\\",\\"attempt\\":$POSTHOUSE_ATTEMPT,\\"queue\\":\\"$POSTHOUSE_QUEUE\\",\\"x\\":\\"$EXTRA\\"}"',
    echo: 'cat',
    bad: 'echo one >&2; echo "the reason" >&2; exit 3',
    final: 'exit 65',
    later: 'exit 75',
    crash: 'kill -9 $$',
    missing: 'exit 0',
  }, { good: 'env = EXTRA=yes', missing: '' })
  const after = async (name, state) => {
    await give(name, `job-of-${name}`)
    return until(() => job(daemon, `job-of-${name}`), (seen) => seen.state === state)
  }
  assert.deepEqual((await after('good', 'done')).result,
    { words: '--fast two', jid: 'job-of-good', attempt: 1, queue: 'good', x: 'yes' })
  const echoed = (await after('echo', 'done')).result
  assert.deepEqual([echoed.jid, echoed.args, echoed.attempt], ['job-of-echo', [1], 1])
  assert.equal((await after('bad', 'retry')).failure.message, 'one\nthe reason')
  assert.equal((await after('final', 'dead')).reason, 'final')
  assert.deepEqual((await after('later', 'scheduled')).attempts.map((attempt) => attempt.outcome), ['snoozed'])
  assert.deepEqual([(await after('crash', 'retry')).failure.errtype], ['Signal'])
  const undeclared = await daemon.patch('/v1/queues/q', { handler: { kind: 'exec', command: 'nowhere' } })
  assert.deepEqual([undeclared.status, undeclared.body.errors[0].pointer], [422, '/handler/command'])
  await daemon.stop()
})

test('commands are taken over on SIGHUP, and what runs goes on', async () => {
  const { daemon, place, push: give } = await withCommands({
    first: 'echo "\\"$*\\""; while [ -e "$(dirname "$0")/hold" ]; do sleep 0.05; done',
    other: 'echo "\\"other $*\\""',
  })
  const section = (name, words, more = '') => `[exec ${name}]\ncommand = ${join(place, words)}\n${more}`
  const reload = async (config, isThere) => {
    daemon.configure(config)
    daemon.signal('SIGHUP')
    return until(async () => isThere(), (seen) => seen)
  }
  const takes = (queue, command) => daemon.patch(`/v1/queues/${queue}`, { handler: { kind: 'exec', command } })
  writeFileSync(join(place, 'hold'), '')
  await give('first', 'job-long')
  await until(() => job(daemon, 'job-long'), (seen) => seen.state === 'leased')
  // another command line of the same name, a new command that a queue of the same file has, and one less
  await reload(section('first', 'other one') + section('second', 'other two', 'timeout = 1m\n') +
    '[queue second]\nhandler.kind = exec\nhandler.command = second\n',
  async () => (await daemon.get('/v1/queues/second')).body.handler?.command === 'second')
  assert.equal((await takes('third', 'other')).status, 422)
  await give('first', 'job-0001')
  await give('second', 'job-0002')
  for (const [jid, result] of [['job-0001', 'other one'], ['job-0002', 'other two']])
    assert.equal((await until(() => job(daemon, jid), (seen) => seen.state === 'done')).result, result)
  rmSync(join(place, 'hold'))
  assert.equal((await until(() => job(daemon, 'job-long'), (seen) => seen.state === 'done')).result, '--fast two')
  // a file with a mistake changes nothing
  await reload(section('third', 'other three') + '[queue q]\nhandler.kind = exec\nhandler.command = nowhere\n',
    () => /configuration not taken over/.test(daemon.stderr))
  assert.equal((await takes('third', 'third')).status, 422)
  assert.equal((await takes('third', 'second')).status, 200)
  await daemon.stop()
})

test('a command has a process group of its own, no descriptors of ours and no way to more rights', async () => {
  const { daemon, push: give } = await withCommands({
    look: 'echo "{\\"open\\":\\"$(for f in /proc/$$/fd/*; do readlink $f; done | tr "\\n" " ")\\",\\"nnp\\":\\"$(grep NoNewPrivs /proc/$$/status | cut -f2)\\",\\"group\\":\\"$(cut -d" " -f5,6 /proc/$$/stat)\\",\\"pid\\":\\"$$\\",\\"home\\":\\"$HOME\\"}"',
  })
  await give('look', 'job-look')
  const { result } = await until(() => job(daemon, 'job-look'), (seen) => seen.state === 'done')
  const open = result.open.split(' ').filter(Boolean)
  assert.ok(!open.some((file) => /posthouse\.db|anon_inode/.test(file)), result.open)
  assert.equal(open.filter((file) => file.startsWith('socket:')).length, 1) // its input
  assert.equal(result.nnp, '1')
  assert.equal(result.group, `${result.pid} ${result.pid}`)
  assert.equal(result.home, '')
  await daemon.stop()
})

test('a command that takes too long is ended with all it started, and a stop of the daemon returns its job', async () => {
  const { daemon, place, push: give } = await withCommands(
    { slow: 'sleep 1000 & echo $! >"$(dirname "$0")/slow.pid"; wait', held: 'echo $$ >"$(dirname "$0")/held.pid"; exec sleep 1000' },
    { slow: 'timeout = 1s' })
  await give('slow', 'job-slow')
  const seen = await until(() => job(daemon, 'job-slow'), ({ state }) => state === 'retry')
  assert.equal(seen.failure.errtype, 'Timeout')
  const pid = (name) => Number(readFileSync(join(place, `${name}.pid`), 'utf8'))
  const gone = (id) => until(() => existsSync(`/proc/${id}`) && !/^State:\s+Z/m.test(readFileSync(`/proc/${id}/status`, 'utf8')), (alive) => !alive)
  await gone(pid('slow'))
  await give('held', 'job-held')
  await until(() => existsSync(join(place, 'held.pid')) && readFileSync(join(place, 'held.pid'), 'utf8').length > 1, Boolean)
  assert.equal(await daemon.stop(), 0)
  await gone(pid('held'))
  daemon.configure('[server]\nstop = 1s\n') // the command is declared no more
  await daemon.start()
  const left = await until(() => job(daemon, 'job-held'), ({ state }) => state === 'retry')
  assert.deepEqual(left.attempts.map((attempt) => attempt.outcome), ['failed'])
  await daemon.stop()
})
