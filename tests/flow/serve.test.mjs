// The daemon as a process: start, configuration, signals, service managers.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { cli, Daemon, folder, program, startDaemon, until } from './lib/daemon.mjs'
import { mailgun, now, post } from './lib/webhooks.mjs'

test('one line says that the daemon answers, and nothing else is on stdout', async () => {
  const daemon = await startDaemon()
  assert.match(daemon.stdout, /^posthouse ready http=127\.0\.0\.1:\d+ worker=\S+ database=(sqlite:|postgres:\/\/)\S+\n$/)
  assert.equal((await daemon.get('/livez')).status, 200)
  assert.equal(await daemon.stop(), 0)
  assert.match(daemon.stdout, /^[^\n]+\n$/)
})

test('SIGTERM and SIGINT end it with exit code 0, and what was answered is there again', async () => {
  const daemon = await startDaemon()
  await daemon.put('/v1/tenants/t-1', { timezone: 'Asia/Tokyo' })
  assert.equal(await daemon.stop(), 0)
  await daemon.start()
  assert.equal((await daemon.get('/v1/tenants/t-1')).body.timezone, 'Asia/Tokyo')
  daemon.signal('SIGINT')
  assert.deepEqual(await daemon.ended, { code: 0, signal: null })
})

test('what was answered survives SIGKILL', async () => {
  const daemon = await startDaemon()
  for (let i = 0; i < 20; i++) {
    assert.equal((await daemon.put(`/v1/tenants/t-${i}`, {})).status, 200)
    if (i % 5 === 4) {
      await daemon.kill()
      await daemon.start()
    }
  }
  for (let i = 0; i < 20; i++) assert.equal((await daemon.get(`/v1/tenants/t-${i}`)).status, 200)
  await daemon.stop()
})

// On PostgreSQL it is one more node (nodes.test.mjs).
test('a second daemon on the same data is refused', { skip: process.env.POSTHOUSE_TEST_DATABASE && 'a directory has one daemon' }, async () => {
  const daemon = await startDaemon()
  const second = cli(['serve', ...daemon.store, '--http', '127.0.0.1:0'])
  assert.equal(second.status, 1)
  assert.match(second.stderr, /held|running|another/)
  await daemon.stop()
})

test('an address that is taken is refused with the reason', async () => {
  const daemon = await startDaemon()
  const second = cli(['serve', '--data', folder(), '--http', daemon.http])
  assert.equal(second.status, 1)
  assert.match(second.stderr, /address already in use/)
  await daemon.stop()
})

test('a PostgreSQL that is not there is named without its password', () => {
  for (const command of [['serve'], ['check'], ['token', 'create', 'n', '--scope', 'read']]) {
    const refused = cli([...command, '--database', 'postgres://me:open-sesame@127.0.0.1:9/posthouse'])
    assert.equal(refused.status, 1, command.join(' '))
    assert.match(refused.stderr, /the database does not answer .*127\.0\.0\.1.*port 9/)
    assert.doesNotMatch(refused.stdout + refused.stderr, /open-sesame/)
  }
})

test('a database URL of another kind is a mistake of the configuration', () => {
  const refused = cli(['serve', '--database', 'mysql://127.0.0.1/posthouse'])
  assert.equal(refused.status, 2)
  assert.match(refused.stderr, /\[database\] url is like postgres:/)
})

// A configuration with a mistake, and what is said about it.
function mistake(text) {
  const file = join(folder(), 'posthouse.conf')
  writeFileSync(file, text)
  const checked = cli(['config', 'check', file])
  assert.equal(checked.status, 1, text)
  const served = cli(['serve', '--config', file, '--data', folder()])
  assert.equal(served.status, 2, text)
  return checked.stderr.split('\n')[0]
}

test('mistakes in the configuration stop the start, with line and suggestion', () => {
  assert.match(mistake('[server]\nhtpp = 127.0.0.1:0\n'), /posthouse\.conf:2: .*htpp.*http/)
  assert.match(mistake('[sever]\n'), /posthouse\.conf:1: .*sever.*server/)
  assert.match(mistake('[server]\nhttp = nonsense\n'), /\[server\] http/)
  assert.match(mistake('[log]\nlevel = loud\n'), /:2: .*debug.*info.*warn.*error/)
  assert.match(mistake('[tenant t-1]\ntimezone = Mars/Olympus\n'), /\[tenant t-1\] line 2: .*Mars\/Olympus/)
  assert.match(mistake('[tenant t-1]\nretention.email = 2d\n'), /\[tenant t-1\] line 2: .*days/)
  assert.match(mistake('[source mg]\ntype = mailgum\n'), /\[source mg\] line 2: /)
  assert.match(mistake('[source mg]\ntype = mailgun\ndomain = mg.x.org\napi_key = k\nevery = 0s\n'), /\[source mg\] line 5: /)
  assert.match(mistake('[status]\ndelivered.created = always\n'), /\[status\] line 2: /)
  assert.match(mistake('[sources]\nallow = nonsense\n'), /\[sources\] allow: .*nonsense/)
  assert.match(mistake('[classify]\nscanners = /nonexistent/list\n'), /cannot read \/nonexistent\/list/)
  assert.equal(cli(['serve', '--config', '/nonexistent/posthouse.conf']).status, 2)
})

test('flags win over the environment, the environment over the file, the file over the default', async () => {
  const config = '[log]\nlevel = warn\nformat = json\n[server]\ndata = from-file\n'
  const daemon = new Daemon({ config, env: { POSTHOUSE_LOG_FORMAT: 'logfmt', POSTHOUSE_DATA: '/nonexistent' } })
  await daemon.start()
  assert.ok(existsSync(daemon.data) || daemon.options.database)
  const shown = cli(['config', 'show', daemon.config], { env: { POSTHOUSE_LOG_FORMAT: 'logfmt' } })
  assert.equal(shown.status, 0)
  assert.match(shown.stdout, /^level = warn$/m)
  assert.match(shown.stdout, /^format = logfmt  # from the environment$/m)
  assert.match(shown.stdout, /^# http = 127\.0\.0\.1:7420  # default$/m)
  await daemon.stop()
  assert.doesNotMatch(daemon.stderr, /stopping/, 'level warn')
})

test('a relative path in the file counts from the file', async () => {
  const daemon = new Daemon({ config: '[server]\ndata = beside\n' })
  daemon.arguments = () => ['serve', '--config', daemon.config, '--http', '127.0.0.1:0', '--worker', '127.0.0.1:0', '--dev']
  await daemon.start()
  assert.equal(daemon.database, `sqlite:${join(daemon.folder, 'beside')}`)
  await daemon.stop()
})

test('secrets of the configuration are shown as set', () => {
  const file = join(folder(), 'posthouse.conf')
  writeFileSync(file, '[source mg]\ntype = mailgun\ndomain = mg.x.org\napi_key = very-secret\n')
  const { stdout, stderr, status } = cli(['config', 'show', file])
  assert.equal(status, 0, stderr)
  assert.doesNotMatch(stdout + stderr, /very-secret/)
  assert.match(stdout, /api_key = "?set/)
})

test('tenants of the file are applied at start and on SIGHUP, what the API made stays', async () => {
  const daemon = await startDaemon({ config: '[tenant t-1]\ntimezone = Europe/London\nretention.email = 14d\ncontacts = a@x.org, b@x.org\n' })
  const tenant = async (id) => (await daemon.get(`/v1/tenants/${id}`)).body
  assert.equal((await tenant('t-1')).timezone, 'Europe/London')
  assert.equal((await tenant('t-1')).retention.email, '14d')
  assert.deepEqual((await tenant('t-1')).contacts, ['a@x.org', 'b@x.org'])
  await daemon.put('/v1/tenants/t-api', { timezone: 'Asia/Tokyo' })

  daemon.configure('[tenant t-1]\ntimezone = Europe/Paris\n[tenant t-2]\n[log]\nlevel = debug\n[server]\nconnections = 7\n')
  daemon.signal('SIGHUP')
  await daemon.logged(/configuration read again/)
  assert.equal((await tenant('t-1')).timezone, 'Europe/Paris')
  assert.equal((await tenant('t-2')).timezone, 'UTC')
  assert.equal((await tenant('t-api')).timezone, 'Asia/Tokyo')
  assert.match(daemon.stderr, /takes effect at the next start.*section=server key=connections/)
  await daemon.get('/livez')
  await daemon.logged(/level=debug msg=request/)

  daemon.configure('[tenant t-1]\ntimezone = Nowhere/Land\n')
  daemon.signal('SIGHUP')
  await daemon.logged(/configuration not taken over.*Nowhere\/Land/)
  assert.equal((await tenant('t-1')).timezone, 'Europe/Paris')
  assert.equal(await daemon.stop(), 0)
})

test('lists of scanners and networks, status moves and reachable networks of the file are taken over on SIGHUP', async () => {
  const daemon = await startDaemon({ dev: false, data: folder(), config: '' })
  await daemon.stop()
  daemon.token = cli(['token', 'create', 'n', '--scope', 'admin,read,write', ...daemon.store]).stdout.trim()
  await daemon.start()
  await daemon.put('/v1/tenants/t', {})
  await daemon.put('/v1/mailings/m', { tenant: 't' })
  await daemon.put('/v1/sources/in', { type: 'mailgun', tenant: 't', signing_key: 'k' })
  const names = ['a', 'b', 'c', 'd', 'e']
  await daemon.bulk('/v1/mailings/m/messages', names.map((name) => ({ id: name, recipient: `${name}@x.org`, provider_message_id: `${name}@mg` })))
  const opened = async (name, agent, ip) => {
    const message = { headers: { 'message-id': `${name}@mg` } }
    const event = { event: 'opened', id: name, timestamp: now() - 5, recipient: `${name}@x.org`, ip, message, 'client-info': { 'user-agent': agent } }
    assert.equal((await post(daemon, 'in', mailgun('k', event))).status, 200)
  }
  const figures = async () => {
    const { opened_human, opened_machine } = (await daemon.get('/v1/mailings/m/stats')).body
    return [opened_human, opened_machine]
  }
  const bounced = async (id) => {
    assert.equal((await daemon.patch(`/v1/messages/${id}`, { status: 'delivered' })).status, 200)
    return (await daemon.patch(`/v1/messages/${id}`, { status: 'permanent-failure' })).status
  }
  const reach = async () => (await daemon.put('/v1/sources/mg', { type: 'mailgun', domain: 'mg.x.org', api_key: 'k', base_url: 'http://10.1.2.3:1' })).status
  await opened('a', 'Quietreader/1.0', '198.51.100.7')
  assert.deepEqual([await figures(), await bounced('a'), await reach()], [[1, 0], 200, 422])

  const text = '[classify]\nscanners = scanners.txt\nnetworks = networks.txt\n[status]\ndelivered.permanent-failure = never\n[sources]\nallow = 10.0.0.0/8\n'
  writeFileSync(join(daemon.folder, 'scanners.txt'), 'quietreader\n')
  writeFileSync(join(daemon.folder, 'networks.txt'), '198.51.100.0/24\n')
  daemon.configure(text)
  daemon.signal('SIGHUP')
  await daemon.logged(/configuration read again/)
  assert.doesNotMatch(daemon.stderr, /takes effect at the next start/)
  await opened('b', 'Quietreader/1.0', '203.0.113.7')
  await opened('c', 'Firefox/140.0', '198.51.100.7')
  await opened('d', 'Firefox/140.0', '203.0.113.7')
  assert.deepEqual([await figures(), await bounced('b'), await reach()], [[2, 2], 409, 200])

  // A mistake in any of them, and all stays as it was.
  for (const [good, bad] of [['never', 'sometimes'], ['10.0.0.0/8', '10.0.0.0/80'], ['networks.txt', 'nowhere.txt']]) {
    const before = daemon.stderr.length
    daemon.configure(text.replace(good, bad))
    daemon.signal('SIGHUP')
    await until(() => /configuration not taken over.*\n/.test(daemon.stderr.slice(before)))
    assert.ok(daemon.stderr.slice(before).includes(bad), daemon.stderr.slice(before))
  }
  await opened('e', 'Quietreader/1.0', '203.0.113.7')
  assert.deepEqual([await figures(), await bounced('c'), await reach()], [[2, 3], 409, 200])
  assert.equal(await daemon.stop(), 0)
})

test('a source may point into a private network only where the configuration says so', async () => {
  const daemon = await startDaemon({ dev: false, data: folder() })
  await daemon.stop()
  daemon.token = cli(['token', 'create', 'n', '--scope', 'admin', ...daemon.store]).stdout.trim()
  const put = async (base_url) => (await daemon.put('/v1/sources/mg', { type: 'mailgun', domain: 'mg.x.org', api_key: 'k', base_url })).status
  await daemon.start()
  assert.deepEqual([await put('http://127.0.0.1:1'), await put('http://10.1.2.3:1'), await put('http://169.254.169.254')], [200, 422, 422])
  daemon.configure('[sources]\nallow = 10.0.0.0/8\n')
  await daemon.restart()
  assert.deepEqual([await put('http://127.0.0.1:1'), await put('http://10.1.2.3:1'), await put('http://169.254.169.254')], [422, 200, 422])
  await daemon.stop()
})

test('a listening socket may be handed over by a service manager', async () => {
  const server = net.createServer()
  await new Promise((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address()
  const script = 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$0" "$@"'
  const child = spawn('sh', ['-c', script, program, 'serve', '--dev', '--data', folder(), '--http', '127.0.0.1:1', '--worker', '127.0.0.1:0'],
    { stdio: ['ignore', 'pipe', 'inherit', server._handle.fd] })
  let stdout = ''
  child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text))
  const ended = new Promise((done) => child.on('close', done))
  try {
    await until(() => stdout.includes('ready'))
    server.close()
    assert.match(stdout, new RegExp(`http=127\\.0\\.0\\.1:${port} `))
    assert.equal((await fetch(`http://127.0.0.1:${port}/livez`)).status, 200)
  } finally {
    child.kill('SIGTERM')
  }
  assert.equal(await ended, 0)
})

test('a connection above the maximum takes the place of one that rests', async () => {
  const daemon = await startDaemon({ config: '[server]\nconnections = 2\n' })
  const [host, port] = daemon.http.split(':')
  const open = () => new Promise((done) => {
    const socket = net.connect(Number(port), host, () => socket.write('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n'))
    socket.once('data', (data) => done({ socket, status: Number(String(data).split(' ')[1]) }))
  })
  const all = [await open(), await open()]
  const ended = new Promise((done) => all[0].socket.once('close', done))
  all.push(await open())
  assert.deepEqual(all.map((one) => one.status), [200, 200, 200])
  await ended
  for (const { socket } of all) socket.destroy()
  assert.equal(await daemon.stop(), 0)
})

const threads = (pid) =>
  readdirSync(`/proc/${pid}/task`).map((id) => readFileSync(`/proc/${pid}/task/${id}/comm`, 'utf8').trim())

// Asks for all of it at once on one connection; gives the statuses in the order of the answers.
const askAtOnce = (daemon, paths) => new Promise((done, failed) => {
  const [host, port] = daemon.http.split(':')
  const last = paths.length - 1
  let text = ''
  const socket = net.connect(Number(port), host)
  socket.setEncoding('utf8').on('error', failed).on('data', (data) => (text += data))
  socket.on('end', () => done([...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => Number(match[1]))))
  socket.write(paths.map((path, i) => `GET ${path} HTTP/1.1\r\nHost: ${daemon.http}\r\n${i === last ? 'Connection: close\r\n' : ''}\r\n`).join(''))
})

test('links are answered by as many loops as are said, and everything in the order it was asked', async () => {
  const daemon = await startDaemon({ env: { POSTHOUSE_SERVER_LOOPS: '3' } })
  assert.deepEqual(threads(daemon.pid).filter((name) => name.startsWith('http')).sort(), ['http', 'http-2', 'http-3'])
  await daemon.put('/v1/tenants/t-1', {})
  await daemon.put('/v1/links/a', { url: 'https://shop.example.org/', tenant: 't-1' })
  const paths = ['/r/a', '/r/a?m=x', '/v1/tenants/t-1', '/r/a', '/nowhere', '/r/a']
  const all = await Promise.all(Array.from({ length: 9 }, () => askAtOnce(daemon, paths)))
  for (const statuses of all) assert.deepEqual(statuses, [302, 302, 200, 302, 404, 302])
  assert.equal(await daemon.stop(), 0)
})

test('one loop is enough', async () => {
  const daemon = await startDaemon({ env: { POSTHOUSE_SERVER_LOOPS: '1' } })
  assert.deepEqual(threads(daemon.pid).filter((name) => name.startsWith('http')), ['http'])
  assert.deepEqual(await askAtOnce(daemon, ['/livez', '/r/nothing', '/livez']), [200, 404, 200])
  assert.equal(await daemon.stop(), 0)
})

test('a full disk is told at start', { skip: process.getuid() !== 0 && 'needs root for a tmpfs' }, (t) => {
  const data = folder()
  if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', data]).status !== 0) return t.skip('no tmpfs here')
  try {
    const refused = cli(['serve', '--data', data, '--http', '127.0.0.1:0'])
    assert.equal(refused.status, 1)
    assert.match(refused.stderr, /full|space/)
  } finally {
    spawnSync('umount', [data])
  }
})

test('a data directory that cannot be made is refused with the reason', () => {
  const parent = folder()
  writeFileSync(join(parent, 'file'), '')
  const refused = cli(['serve', '--data', join(parent, 'file', 'data'), '--http', '127.0.0.1:0'])
  assert.equal(refused.status, 1)
  assert.match(refused.stderr, /file\/data/)
  mkdirSync(join(parent, 'deep'))
})
