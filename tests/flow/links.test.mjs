// Tracked links: made, followed, counted, changed; answers of the redirect as readers and scanners get them.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { request as ask } from 'node:http'
import { connect } from 'node:net'
import { join } from 'node:path'
import { cli, folder, startDaemon, until } from './lib/daemon.mjs'

const UUID = '2f1c7c1e-58f0-4a52-9d5e-0e6b7f1c9a10'
const BROWSER = 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0'

// One answer as it stands on the wire: status, headers in order, body. Redirects are not followed.
function raw(daemon, path, { method = 'GET', headers = {} } = {}) {
  return new Promise((resolve, reject) => {
    const url = new URL(daemon.url)
    const asked = ask({ host: url.hostname, port: url.port, path, method, headers: { 'user-agent': BROWSER, ...headers } }, (answer) => {
      const parts = []
      answer.on('data', (part) => parts.push(part))
      answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, names: answer.rawHeaders.filter((_, i) => i % 2 === 0), body: Buffer.concat(parts).toString() }))
    })
    asked.on('error', reject)
    asked.end()
  })
}

async function mailing(daemon, members = ['ann', 'bob', UUID]) {
  assert.equal((await daemon.put('/v1/tenants/t-1', { timezone: 'Europe/London' })).status, 200)
  assert.equal((await daemon.put('/v1/mailings/m-1', { tenant: 't-1' })).status, 200)
  const lines = members.map((member) => ({ recipient: `${member}@x.example`, member }))
  assert.equal((await daemon.bulk('/v1/mailings/m-1/messages', lines)).body.accepted, members.length)
}

const link = (url, more = {}) => ({ url, tenant: 't-1', mailing: 'm-1', ...more })
const figures = async (daemon, code) => (await daemon.get(`/v1/links/${code}`)).body.stats
const stats = async (daemon) => (await daemon.get('/v1/mailings/m-1/stats')).body

async function checked(daemon) {
  assert.equal(await daemon.stop(), 0)
  const { status, stdout } = cli(['check', ...daemon.store])
  assert.equal(status, 0, stdout)
}

test('a redirect has exactly the headers it may have, and its click is counted before it leaves', async () => {
  const daemon = await startDaemon()
  await mailing(daemon)
  const made = await daemon.put('/v1/links/new', link('https://Shop.example.org/new?u=%%{uuid}%%'))
  assert.equal(made.status, 201)
  assert.equal(made.body.url, 'https://shop.example.org/new?u=%%{uuid}%%')
  const answer = await raw(daemon, `/r/new?m=${UUID}`)
  assert.equal(answer.status, 302)
  assert.equal(answer.headers.location, `https://shop.example.org/new?u=${UUID}`)
  assert.deepEqual(answer.names.filter((name) => !['Date', 'Connection', 'Keep-Alive'].includes(name)),
    ['Location', 'X-Robots-Tag', 'Cache-Control', 'Content-Length'])
  assert.equal(answer.headers['cache-control'], 'no-store')
  assert.equal(answer.headers['x-robots-tag'], 'noindex, nofollow')
  assert.equal(answer.body, '')
  assert.deepEqual(await figures(daemon, 'new'), { clicks: 1, members: 1, human: 1, machine: 0 })
  const { clicked, clicked_human } = await stats(daemon)
  assert.deepEqual([clicked, clicked_human], [1, 1])
  assert.ok((await daemon.get(`/v1/members/${UUID}?tenant=t-1`)).body.last_seen_at, 'the member was seen')
  const [item] = (await daemon.get('/v1/mailings/m-1/links')).body.items
  assert.deepEqual([item.code, item.clicks, item.members], ['new', 1, 1])
  await checked(daemon)
})

test('who is no recipient is sent on and counted nowhere; HEAD is answered and not counted', async () => {
  const daemon = await startDaemon()
  await mailing(daemon)
  await daemon.put('/v1/links/a', link('https://x.example/?m=%%{member}%%'))
  for (const query of ['', '?m=', '?m=nobody', `?m=${'a'.repeat(10000)}`, '?m=a%00', '?m=%ff', '?m=a%', '?other=ann'])
    assert.equal((await raw(daemon, `/r/a${query}`)).status, 302, query.slice(0, 20))
  const head = await raw(daemon, '/r/a?m=ann', { method: 'HEAD' })
  assert.deepEqual([head.status, head.headers.location], [302, 'https://x.example/?m=ann'])
  assert.deepEqual(await figures(daemon, 'a'), { clicks: 0, members: 0, human: 0, machine: 0 })
  await raw(daemon, '/r/a?m=ann', { headers: { 'sec-purpose': 'prefetch;prerender' } })
  assert.deepEqual(await figures(daemon, 'a'), { clicks: 1, members: 1, human: 0, machine: 1 })
  await raw(daemon, '/r/a?m=ann', { headers: { 'if-none-match': '"x"', range: 'bytes=0-1' } })
  assert.deepEqual(await figures(daemon, 'a'), { clicks: 2, members: 1, human: 1, machine: 1 })
  const { text } = await daemon.get('/metrics')
  for (const [reason, count] of [['no_member', 7], ['unknown_member', 1], ['head', 1]])
    assert.match(text, new RegExp(`^posthouse_clicks_ignored_total\\{reason="${reason}"\\} ${count}$`, 'm'))
  await checked(daemon)
})

test('what is fetched ahead of a click is a machine, however it says so', async () => {
  const daemon = await startDaemon()
  const ways = [{ 'sec-purpose': 'prefetch' }, { purpose: 'prefetch' }, { purpose: 'preview' }, { 'x-moz': 'prefetch' }]
  await mailing(daemon, ways.map((_, i) => `r${i}`))
  await daemon.put('/v1/links/a', link('https://x.example/'))
  for (const [i, headers] of ways.entries()) assert.equal((await raw(daemon, `/r/a?m=r${i}`, { headers })).status, 302)
  assert.deepEqual(await figures(daemon, 'a'), { clicks: 4, members: 4, human: 0, machine: 4 })
  assert.equal((await raw(daemon, '/r/a?m=r0')).status, 302)
  assert.deepEqual(await figures(daemon, 'a'), { clicks: 5, members: 4, human: 1, machine: 4 })
  await checked(daemon)
})

test('an unknown code gets the page that the operator wrote', async () => {
  const page = join(folder(), 'gone.html')
  writeFileSync(page, '<!doctype html><title>Gone</title>\n')
  const daemon = await startDaemon({ env: { POSTHOUSE_LINKS_NOT_FOUND_PAGE: page } })
  const { status, headers, body } = await raw(daemon, '/r/nothing-here')
  assert.deepEqual([status, headers['cache-control'], headers.location], [404, 'no-store', undefined])
  assert.equal(body, '<!doctype html><title>Gone</title>\n')
  await daemon.stop()
})

test('unknown codes, other methods and overlong paths get their own answers', async () => {
  const daemon = await startDaemon()
  await mailing(daemon)
  const unknown = await raw(daemon, '/r/nothing-here')
  assert.equal(unknown.status, 404)
  assert.match(unknown.headers['content-type'], /^text\/html/)
  assert.equal(unknown.headers['cache-control'], 'no-store')
  assert.equal((await daemon.put('/v1/links/nothing-here', link('https://x.example/'))).status, 201)
  assert.equal((await raw(daemon, '/r/nothing-here')).status, 302, 'a PUT clears what was not found')
  for (const method of ['POST', 'OPTIONS', 'DELETE']) {
    const { status, headers } = await raw(daemon, '/r/nothing-here', { method })
    assert.deepEqual([status, headers.allow], [405, 'GET, HEAD'], method)
  }
  assert.equal((await raw(daemon, `/r/${'a'.repeat(1100)}`)).status, 414)
  assert.equal((await raw(daemon, '/r/a', { headers: { long: 'x'.repeat(17000) } })).status, 431)
  await daemon.stop()
})

test('nothing a request holds changes scheme, host or headers of its Location', async () => {
  const daemon = await startDaemon()
  const members = ['a', '../..', 'x@evil.example', 'a b', '%0d%0aSet-Cookie: x']
  await mailing(daemon, members)
  await daemon.put('/v1/links/a', link('https://x.example:8443/p/%%{member}%%?u=%%{uuid}%%'))
  const attacks = [...members.map((m) => `?m=${encodeURIComponent(m)}`), '?m=a%0d%0aSet-Cookie:%20x=1', '?m=%0aX:y', '?url=https://evil.example/',
    '?m=a&next=//evil.example', '?m=%5c%5cevil.example', '?m=%2f%2fevil.example', '?m=%252f%252f']
  for (const query of attacks) {
    const answer = await raw(daemon, `/r/a${query}`, { headers: { host: 'evil.example', 'x-forwarded-host': 'evil.example' } })
    const location = new URL(answer.headers.location)
    assert.deepEqual([answer.status, location.protocol, location.host], [302, 'https:', 'x.example:8443'], query)
    assert.equal(answer.headers['set-cookie'], undefined)
  }
  await daemon.stop()
})

test('a new destination is used from its answer on, and begins the figures of the link again', async () => {
  const daemon = await startDaemon()
  await mailing(daemon)
  await daemon.put('/v1/links/a', link('https://x.example/1'))
  await raw(daemon, '/r/a?m=ann')
  for (let version = 2; version < 12; version++) {
    const clicks = Array.from({ length: 20 }, () => raw(daemon, '/r/a?m=ann'))
    const put = await daemon.put('/v1/links/a', link(`https://x.example/${version}`))
    assert.deepEqual([put.status, put.body.version], [200, version])
    assert.equal((await raw(daemon, '/r/a?m=bob')).headers.location, `https://x.example/${version}`)
    await Promise.all(clicks)
  }
  const { body } = await daemon.get('/v1/links/a')
  assert.equal(body.stats.members <= 2, true)
  assert.deepEqual([body.all_time.clicks, body.all_time.members], [1 + 10 * 21, 2])
  assert.equal((await stats(daemon)).clicked, 2)
  assert.equal((await daemon.put('/v1/links/a', link('https://x.example/11'))).body.version, 11, 'the same again changes nothing')
  assert.equal((await daemon.put('/v1/links/a', { url: 'https://x.example/', tenant: 't-1' })).status, 409)
  await checked(daemon)
})

// LNK-5
test('a link cannot be taken away', async () => {
  const daemon = await startDaemon()
  await mailing(daemon)
  await daemon.put('/v1/links/a', link('https://shop.example.org/'))
  const { status, headers } = await daemon.delete('/v1/links/a')
  assert.equal(status, 405)
  assert.equal(headers.get('allow'), 'PUT, GET, HEAD')
  assert.equal((await raw(daemon, '/r/a?m=ann')).status, 302)
  await checked(daemon)
})

test('a scanner that fetches all links of a message is a machine, the person after it is not', async () => {
  const daemon = await startDaemon()
  await mailing(daemon)
  const codes = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j']
  for (const code of codes) await daemon.put(`/v1/links/${code}`, link(`https://x.example/${code}`))
  await Promise.all(codes.map((code) => raw(daemon, `/r/${code}?m=ann`, { method: 'HEAD' })))
  for (const code of codes) await raw(daemon, `/r/${code}?m=ann`)
  let { clicked, clicked_human, clicked_machine } = await stats(daemon)
  assert.deepEqual([clicked, clicked_human, clicked_machine], [1, 0, 1])
  assert.deepEqual(await figures(daemon, 'a'), { clicks: 1, members: 1, human: 0, machine: 1 })
  await raw(daemon, '/r/b?m=ann', { headers: { 'user-agent': `${BROWSER} person` } })
  assert.deepEqual(await figures(daemon, 'b'), { clicks: 2, members: 1, human: 1, machine: 1 })
  ;({ clicked, clicked_human, clicked_machine } = await stats(daemon))
  assert.deepEqual([clicked, clicked_human, clicked_machine], [1, 1, 1])
  await checked(daemon)
})

test('what cannot be a link is refused with its reason', async () => {
  const daemon = await startDaemon()
  await mailing(daemon)
  for (const url of ['', '/x', 'ftp://x.example/', 'https://u@x.example/', 'https://x.example/\u0001', `https://x.example/${'a'.repeat(9000)}`, 'https://%%{uuid}%%.example/']) {
    const answer = await daemon.put('/v1/links/a', link(url))
    assert.equal(answer.status, 422, url.slice(0, 30))
    assert.equal(answer.body.errors[0].pointer, '/url')
  }
  const typo = await daemon.put('/v1/links/a', { to: 'https://x.example/', tenant: 't-1' })
  assert.equal(typo.status, 422)
  assert.match(JSON.stringify(typo.body), /\bto\b.*\burl\b/, 'it names the field and what may be meant')
  assert.equal((await daemon.put(`/v1/links/${'a'.repeat(129)}`, link('https://x.example/'))).status, 422)
  assert.equal((await daemon.put('/v1/links/a', link('https://x.example/', { mailing: 'unknown' }))).status, 422)
  await daemon.put('/v1/tenants/t-1', { link_hosts: ['*.x.example'] })
  assert.equal((await daemon.put('/v1/links/a', link('https://y.example/'))).status, 422)
  assert.equal((await daemon.put('/v1/links/a', link('https://w.x.example/'))).status, 201)
  const token = (await daemon.post('/v1/tokens', { name: 'n', scopes: ['write'], tenant: 'other' })).body
  assert.equal((await daemon.put('/v1/links/b', link('https://w.x.example/'), { token: token.token })).status, 403)
  await daemon.stop()
})

test('links made by the thousand keep their codes when the request is sent again', async () => {
  const daemon = await startDaemon()
  await mailing(daemon)
  const lines = Array.from({ length: 2500 }, (_, i) => (i === 7 ? { url: 'nonsense', tenant: 't-1' } : link(`https://x.example/${i}`)))
  const send = () => daemon.bulk('/v1/links', lines, { headers: { 'idempotency-key': 'k-1' } })
  const first = (await send()).body
  assert.deepEqual([first.accepted, first.duplicates, first.rejected_count], [2499, 0, 1])
  assert.equal(first.rejected[0].line, 8)
  assert.equal(new Set(first.items.map((item) => item.code)).size, 2499)
  await daemon.kill()
  await daemon.start()
  const again = (await send()).body
  assert.deepEqual(again.items.map((item) => item.code), first.items.map((item) => item.code))
  const [item] = again.items
  assert.equal((await raw(daemon, new URL(item.short_url).pathname)).headers.location, 'https://x.example/0')
  const one = await daemon.post('/v1/links', link('https://x.example/one'))
  assert.deepEqual([one.status, one.body.version, one.body.code.length], [201, 1, 10])
  const array = await daemon.post('/v1/links', [link('https://x.example/two')])
  assert.deepEqual([array.status, array.body.accepted], [200, 1])
  await checked(daemon)
})

test('a hundred thousand links whose request is killed half-way and sent again have one code each', async () => {
  const daemon = await startDaemon()
  await mailing(daemon)
  const lines = Array.from({ length: 100_000 }, (_, i) => link(`https://x.example/${i}`))
  const send = () => daemon.bulk('/v1/links', lines, { headers: { 'idempotency-key': 'k-1' } })
  const cut = send().then(() => 'answered', () => 'cut')
  const made = async () => (await daemon.get('/v1/mailings/m-1/links?limit=1000')).body.items
  const [before] = await until(async () => ((items) => items.length >= 1000 && items)(await made()), 60_000)
  await daemon.kill()
  assert.equal(await cut, 'cut')
  await daemon.start()
  assert.equal((await daemon.put(`/v1/links/${before.code}`, link('https://x.example/elsewhere'))).status, 200)
  const first = (await send()).body
  assert.deepEqual([first.accepted + first.duplicates, first.rejected_count], [lines.length, 0])
  assert.ok(first.duplicates >= 1000, `${first.duplicates} were made before`)
  assert.equal(new Set(first.items.map((item) => item.code)).size, lines.length)
  assert.equal((await daemon.list('/v1/mailings/m-1/links')).length, lines.length)
  assert.deepEqual((await send()).body.items, first.items)
  for (let i = 0; i < lines.length; i += 997) {
    const { code, short_url } = first.items[i]
    const { status, headers } = await raw(daemon, new URL(short_url).pathname)
    assert.deepEqual([status, headers.location], [302, code === before.code ? 'https://x.example/elsewhere' : lines[i].url])
  }
  await checked(daemon)
})

test('a request for more links than an answer may name is refused', async () => {
  const daemon = await startDaemon()
  const { status, body } = await daemon.bulk('/v1/links', Array.from({ length: 120_001 }, () => ({})))
  assert.equal(status, 413)
  assert.match(body.detail, /at most 120000 links/)
  await daemon.stop()
})

test('links answer below the path of their base address, too', async () => {
  const daemon = await startDaemon({ env: { POSTHOUSE_LINKS_BASE_URL: 'https://news.example.org/blog/' } })
  await mailing(daemon)
  const made = await daemon.put('/v1/links/a', link('https://x.example/'))
  assert.equal(made.body.short_url, 'https://news.example.org/blog/r/a')
  assert.equal((await raw(daemon, '/blog/r/a?m=ann')).status, 302)
  assert.equal((await raw(daemon, '/r/a?m=bob')).status, 302)
  assert.equal((await raw(daemon, '/blog/v1/links/a')).status, 404)
  assert.deepEqual(await figures(daemon, 'a'), { clicks: 2, members: 2, human: 2, machine: 0 })
  const [item] = (await daemon.bulk('/v1/unsubscribe-tokens', [{ tenant: 't-1', recipient: 'ann@x.example', scope: 'mailings' }])).body.items
  const { pathname } = new URL(item.url)
  assert.ok(pathname.startsWith('/blog/u/'), pathname)
  for (const path of [pathname, pathname.slice('/blog'.length)]) assert.equal((await raw(daemon, path)).status, 200, path)
  await daemon.stop()
})

const reads = async (daemon) => Number((await daemon.get('/metrics')).text.match(/^posthouse_store_reads_total (\d+)$/m)[1])

// Without a member there is nobody to look up, so whatever is read is read for the link.
const skipShared = process.env.POSTHOUSE_TEST_DATABASE ? 'a node that shares its store reads all the time' : false
test('the first click after a link was saved asks the store nothing, whatever path it comes by', { skip: skipShared }, async () => {
  const daemon = await startDaemon({ env: { POSTHOUSE_LINKS_BASE_URL: 'https://news.example.org/blog/' } })
  await mailing(daemon)
  const before = await reads(daemon)
  for (let i = 0; i < 40; i++) {
    const url = `https://x.example/${i}`
    const made = i % 2 ? await daemon.put(`/v1/links/own-${i}`, link(url)) : await daemon.bulk('/v1/links', [link(url)])
    const code = i % 2 ? made.body.code : made.body.items[0].code
    const answer = await raw(daemon, `${i % 4 < 2 ? '/blog' : ''}/r/${code}`)
    assert.deepEqual([answer.status, answer.headers.location], [302, url])
  }
  const asked = (await reads(daemon)) - before
  assert.ok(asked < 20, `${asked} reads for 40 clicks`) // of others: housekeeping looks now and then
  await daemon.stop()
})

test('clients that never finish their request keep nobody waiting', async (t) => {
  const daemon = await startDaemon()
  await mailing(daemon)
  await daemon.put('/v1/links/a', link('https://x.example/'))
  const url = new URL(daemon.url)
  const slow = Array.from({ length: 300 }, () => {
    const socket = connect(Number(url.port), url.hostname)
    socket.on('error', () => {})
    socket.write('GET /r/a?m=ann HTTP/1.1\r\nHost: x\r\n')
    return socket
  })
  t.after(() => slow.forEach((socket) => socket.destroy()))
  for (let i = 0; i < 50; i++) assert.equal((await raw(daemon, '/r/a?m=ann')).status, 302)
  assert.equal((await figures(daemon, 'a')).clicks, 50)
  await daemon.stop()
})

test('every redirect that was answered is counted after a kill, none twice', async () => {
  const daemon = await startDaemon()
  await mailing(daemon)
  await daemon.put('/v1/links/a', link('https://x.example/'))
  let answered = 0, asked = 0
  for (let round = 0; round < 3; round++) {
    let goes = true
    const reader = async () => {
      while (goes) {
        asked++
        try { if ((await raw(daemon, `/r/a?m=${asked % 2 ? 'ann' : 'bob'}`)).status === 302) answered++ } catch { goes = false }
      }
    }
    const readers = Array.from({ length: 8 }, reader)
    const before = answered
    await until(() => answered > before + 100 * (round + 1))
    await daemon.kill()
    goes = false
    await Promise.all(readers)
    await daemon.start()
  }
  const { clicks, members } = await figures(daemon, 'a')
  assert.ok(clicks >= answered && clicks <= asked, `${answered} answered, ${clicks} counted, ${asked} asked`)
  assert.equal(members, 2)
  await checked(daemon)
})

test('figures asked for while others click hold every click that was answered before', async () => {
  const daemon = await startDaemon()
  await mailing(daemon)
  await daemon.put('/v1/links/a', link('https://x.example/'))
  let answered = 0, asked = 0, goes = true
  const reader = async () => {
    while (goes) {
      asked++
      assert.equal((await raw(daemon, '/r/a?m=ann')).status, 302)
      answered++
    }
  }
  const readers = Array.from({ length: 6 }, reader)
  for (let i = 0; i < 60; i++) {
    const before = answered
    const { clicks } = await figures(daemon, 'a')
    assert.ok(clicks >= before && clicks <= asked, `${before} answered, ${clicks} counted, ${asked} asked`)
  }
  goes = false
  await Promise.all(readers)
  assert.equal((await figures(daemon, 'a')).clicks, answered)
  await checked(daemon)
})

test('every answer that shows figures holds the click before it', async () => {
  const daemon = await startDaemon()
  const members = Array.from({ length: 9 }, (_, i) => `r${i}`)
  await mailing(daemon, members)
  await daemon.put('/v1/links/a', link('https://x.example/'))
  const { items } = (await daemon.get('/v1/messages?tenant=t-1')).body
  const message = items.find(({ recipient }) => recipient === 'r8@x.example').id
  let clicks = 0
  const shown = [
    ['/v1/links/a', ({ body }) => body.stats.clicks === clicks],
    ['/v1/mailings/m-1', ({ body }) => body.stats.clicked === clicks],
    ['/v1/mailings/m-1/stats', ({ body }) => body.clicked === clicks],
    ['/v1/mailings/m-1/links', ({ body }) => body.items[0].clicks === clicks],
    ['/v1/members/r4?tenant=t-1', ({ body }) => body.last_seen_at !== null],
    ['/v1/overview', ({ body }) => body.mailings[0].stats.clicked === clicks],
    ['/', ({ text }) => text.includes(`<td class=n>${clicks}</td>`)],
    ['/v1/links/a', ({ body }) => body.all_time.members === clicks],
    [`/v1/messages/${encodeURIComponent(message)}`, ({ body }) => body.clicked_at !== null],
  ]
  for (const [path, holds] of shown) {
    assert.equal((await raw(daemon, `/r/a?m=r${clicks++}`)).status, 302)
    const answer = await daemon.get(path)
    assert.equal(answer.status, 200, path)
    assert.ok(holds(answer), `${path}: ${answer.text}`)
  }
  await checked(daemon)
})
