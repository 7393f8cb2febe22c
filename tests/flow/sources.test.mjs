// Sources through the API: what may be put, what is shown, who may see it, and reading back on demand.
import { createServer } from 'node:http'
import { after, test } from 'node:test'
import assert from 'node:assert/strict'
import { startDaemon, until } from './lib/daemon.mjs'
import { startSimulator } from './lib/simulator.mjs'

const mg = { type: 'mailgun', domain: 'mg.x.org', signing_key: 'signing-secret-1' }

// With an empty configuration nothing is asked of anybody: no source here has an api_key unless a test says so.
async function start(options) {
  const daemon = await startDaemon(options)
  for (const tenant of ['t', 'u']) await daemon.put(`/v1/tenants/${tenant}`, { timezone: 'Europe/London' })
  return daemon
}

test('a source is put, shown, put again and listed', async () => {
  const daemon = await start()
  const config = {
    ...{ type: 'mailgun', api: 'logs', base_url: 'https://api.eu.mailgun.net/', domain: 'mg.x.org', tags: ['a', 'b'], tenant: 't' },
    ...{ signing_key: 'signing-secret-1', hook_url: 'https://post.example/v1/hooks/mg', hook_tolerance: '2h' },
    timing: { every: '30s', margin: '60s', recheck: ['30m', '24h'], retention: '3d' },
  }
  const first = await daemon.put('/v1/sources/mg', config)
  assert.equal(first.status, 200, first.text)
  const shown = { ...config, base_url: 'https://api.eu.mailgun.net', signing_key: 'set' }
  for (const [name, value] of Object.entries(shown)) assert.deepEqual(first.body[name], value, name)
  const again = await daemon.put('/v1/sources/mg', config)
  assert.equal(again.body.created_at, first.body.created_at)
  const { body } = await daemon.get('/v1/sources/mg')
  assert.deepEqual([body.coverage, body.warnings, body.gaps], [[], [], []])
  assert.deepEqual(body, { ...again.body, lanes: body.lanes })
  assert.equal((await daemon.get('/v1/sources/other')).status, 404)
  assert.equal((await daemon.put('/v1/sources/mg', { type: 'postmark', tenant: 't', signing_key: 'a:b' })).status, 409)
})

test('each value that a source cannot have is named by its pointer', async () => {
  const daemon = await start()
  const refused = {
    '/type': [{ ...mg, type: 'pigeon' }, { ...mg, type: 'obs', base_url: 'https://x.org' }, { type: 'twilio', signing_key: 'x' }, { domain: 'x' }],
    '/colour': [{ ...mg, colour: 'red' }],
    '/api': [{ ...mg, api: 'graph' }],
    '/domain': [{ ...mg, domain: '../x' }, { type: 'mailgun', api_key: 'k' }],
    '/base_url': [{ ...mg, base_url: 'ftp://x.org' }, { ...mg, base_url: 'https://user:pass@x.org' }, { ...mg, base_url: 'x.org' }, { ...mg, base_url: 'https://x.org/?a=b' }],
    '/tenant': [{ ...mg, tenant: 'nobody' }],
    '/signing_key': [{ type: 'sendgrid', signing_key: 'no key' }, { type: 'ses', signing_key: 'no certificate' }, { type: 'postmark', signing_key: 'nocolon' }],
    '/timing/every': [{ ...mg, timing: { every: '999ms' } }, { ...mg, timing: { every: 'often' } }],
    '/timing/margin': [{ ...mg, timing: { margin: '-1s' } }],
    '/timing/recheck/1': [{ ...mg, timing: { recheck: ['1s', '0s'] } }],
    '/timing/retention': [{ ...mg, timing: { retention: '' } }],
    '/timing/never': [{ ...mg, timing: { never: '1s' } }],
    '/hook_tolerance': [{ ...mg, hook_tolerance: '0s' }, { ...mg, hook_tolerance: '-9h' }, { ...mg, hook_tolerance: 9 }],
    '/tags/0': [{ ...mg, tags: [1] }],
  }
  for (const [pointer, bodies] of Object.entries(refused))
    for (const body of bodies) {
      const answer = await daemon.put('/v1/sources/s', body)
      assert.equal(answer.status, 422, `${JSON.stringify(body)}: ${answer.text}`)
      assert.deepEqual(answer.body.errors.map((error) => error.pointer), [pointer], JSON.stringify(body))
    }
  assert.equal((await daemon.put('/v1/sources/s', '{')).status, 400)
  const many = await daemon.put('/v1/sources/s', { ...mg, api: 'x', hook_tolerance: 'x', timing: { every: 'x' } })
  assert.deepEqual(many.body.errors.map((error) => error.pointer).sort(), ['/api', '/hook_tolerance', '/timing/every'])
  assert.equal((await daemon.get('/v1/sources/s')).status, 404)
  for (const good of [{ timing: { every: '1s', margin: '0s', recheck: ['1s'] } }, { hook_tolerance: '1ms' }, { timing: null }])
    assert.equal((await daemon.put('/v1/sources/s', { ...mg, ...good })).status, 200, JSON.stringify(good))
})

test('secrets are written and never shown: not in answers, lists, errors, logs or the overview', async () => {
  const daemon = await start()
  const secrets = ['signing-secret-1', 'api-secret-2']
  const texts = []
  const say = async (answer) => texts.push((await answer).text)
  await say(daemon.put('/v1/sources/mg', { ...mg, base_url: 'http://127.0.0.1:1', api_key: secrets[1] }))
  await until(async () => (await daemon.get('/v1/sources/mg')).body.lanes.some(({ last_error }) => last_error))
  await say(daemon.put('/v1/sources/mg', { ...mg, api_key: secrets[1], colour: secrets[1], api: 'graph' }))
  await say(daemon.put('/v1/sources/pm', { type: 'postmark', signing_key: secrets[0] }))
  await say(daemon.get('/v1/sources/mg'))
  await say(daemon.get('/v1/sources'))
  await say(daemon.get('/v1/overview'))
  await say(daemon.get('/metrics'))
  await say(daemon.get('/v1/audit'))
  texts.push(daemon.stderr)
  for (const text of texts) for (const secret of secrets) assert.ok(!text.includes(secret), text)
  const { body } = await daemon.get('/v1/sources/mg')
  assert.deepEqual([body.api_key, body.signing_key], ['set', 'set'])
})

test('a secret that is not mentioned stays, "set" keeps it too, null takes it away', async () => {
  const daemon = await start()
  const keys = async (body) => {
    assert.equal((await daemon.put('/v1/sources/mg', { type: 'mailgun', ...body })).status, 200)
    const { api_key, signing_key } = (await daemon.get('/v1/sources/mg')).body
    return [api_key, signing_key]
  }
  assert.deepEqual(await keys({ domain: 'mg.x.org', base_url: 'http://127.0.0.1:1', api_key: 'k', signing_key: 's' }), ['set', 'set'])
  assert.deepEqual(await keys({ domain: 'mg.x.org', base_url: 'http://127.0.0.1:1' }), ['set', 'set'])
  assert.deepEqual(await keys({ domain: 'mg.x.org', base_url: 'http://127.0.0.1:1', api_key: 'set' }), ['set', 'set'])
  assert.deepEqual(await keys({ api_key: null }), [undefined, 'set'])
  assert.deepEqual(await keys({ signing_key: null }), [undefined, undefined])
  assert.deepEqual(await keys({ api_key: 'set' }), [undefined, undefined], 'there is none to keep')
})

test('a source may not point into a private network', async () => {
  const daemon = await start()
  daemon.token = JSON.parse((await daemon.cli(['token', 'create', 'all', '--scope', 'read,write,admin', '--json'])).stdout).token
  await daemon.stop()
  daemon.options.dev = false
  await daemon.start()
  for (const host of ['10.1.2.3', '169.254.169.254', '192.168.0.1:8025', '[::ffff:10.0.0.1]:80', '[fd00::1]', '0.0.0.0']) {
    const answer = await daemon.put('/v1/sources/s', { ...mg, base_url: `http://${host}/x` })
    assert.equal(answer.status, 422, host)
    assert.equal(answer.body.errors[0].pointer, '/base_url')
  }
  // This machine is the operator's own ([sources] allow), and names are looked at when they are called.
  for (const url of ['https://192.0.43.8', 'http://127.0.0.1:8025', 'https://api.example'])
    assert.equal((await daemon.put('/v1/sources/s', { ...mg, base_url: url })).status, 200, url)
})

test('a name that leads into a private network is not called, and no key travels there', async () => {
  const asked = []
  const inside = createServer((request, response) => (asked.push(request.headers), response.end('{"items":[]}')))
  await new Promise((done) => inside.listen(0, '127.0.0.1', done))
  after(() => inside.close())
  const daemon = await start()
  daemon.token = JSON.parse((await daemon.cli(['token', 'create', 'all', '--scope', 'read,write,admin', '--json'])).stdout).token
  await daemon.stop()
  daemon.options.dev = false
  const error = async () => (await daemon.get('/v1/sources/s')).body?.lanes?.find(({ last_error }) => last_error)?.last_error
  const source = { ...mg, base_url: `http://localhost:${inside.address().port}`, api_key: 'k' }

  daemon.configure('[sources]\nallow = 192.0.2.0/24\n')
  await daemon.start()
  assert.equal((await daemon.put('/v1/sources/s', source)).status, 422)
  // A name with a dot in front of the same address is no literal one: it is refused when it is called.
  assert.equal((await daemon.put('/v1/sources/s', { ...source, base_url: source.base_url.replace('localhost', 'localhost.') })).status, 200)
  await until(error)
  assert.deepEqual(asked, [])
})

test('a token of a tenant sees and changes its own sources only', async () => {
  const daemon = await start()
  for (const [id, tenant] of [['of-t', 't'], ['of-u', 'u'], ['of-all', undefined]])
    assert.equal((await daemon.put(`/v1/sources/${id}`, { ...mg, tenant })).status, 200)
  const made = await daemon.post('/v1/tokens', { name: 'bound', scopes: ['read', 'write'], tenant: 't' })
  const token = { token: made.body.token }
  const ids = async () => (await daemon.get('/v1/sources', token)).body.items.map(({ id }) => id)
  assert.deepEqual(await ids(), ['of-t'])
  for (const id of ['of-u', 'of-all']) {
    assert.equal((await daemon.get(`/v1/sources/${id}`, token)).status, 404)
    assert.equal((await daemon.put(`/v1/sources/${id}`, { ...mg, tenant: 't' }, token)).status, 404)
    assert.equal((await daemon.post(`/v1/sources/${id}/backfill`, { begin: '2026-01-01T00:00:00Z', end: '2026-01-02T00:00:00Z' }, token)).status, 404)
    assert.equal((await daemon.delete(`/v1/sources/${id}/backfill`, token)).status, 404)
  }
  assert.equal((await daemon.put('/v1/sources/new', { ...mg, tenant: 'u' }, token)).status, 403)
  assert.equal((await daemon.put('/v1/sources/new', mg, token)).status, 403)
  assert.equal((await daemon.put('/v1/sources/new', { ...mg, tenant: 't' }, token)).status, 200)
  assert.deepEqual(await ids(), ['new', 'of-t'])
})

test('the list of sources comes in pages, also when most belong to others', async () => {
  const daemon = await start()
  const names = Array.from({ length: 25 }, (_, i) => `s-${String(i).padStart(2, '0')}`)
  await Promise.all(names.map((id, i) => daemon.put(`/v1/sources/${id}`, { ...mg, tenant: i % 5 ? 'u' : 't' })))
  assert.deepEqual((await daemon.list('/v1/sources', 4)).map(({ id }) => id), names)
  const { body } = await daemon.post('/v1/tokens', { name: 'bound', scopes: ['read'], tenant: 't' })
  daemon.token = body.token
  assert.deepEqual((await daemon.list('/v1/sources', 2)).map(({ id }) => id), names.filter((_, i) => i % 5 === 0))
  assert.deepEqual((await daemon.get('/v1/sources?after=foreign')).body, { items: [], next: null })
  assert.equal((await daemon.get('/v1/sources?limit=0')).status, 422)
})

// A provider with a mailing of two days ago, imported, and its source; nothing is read before the test says so.
async function simulated(options, source) {
  const sim = await startSimulator({ mailing: 'm-1', recipients: 400, seed: 5, 'sent-ago': '2d', ...options })
  const daemon = await start()
  const sent_at = new Date(Date.now() - 2 * 86400e3).toISOString()
  await daemon.put('/v1/mailings/m-1', { tenant: 't', subject: 'simulated', sent_at })
  await daemon.bulk('/v1/mailings/m-1/messages', await sim.messages())
  const config = { type: 'mailgun', base_url: sim.url, domain: sim.domain, api_key: sim.key, signing_key: sim.signingKey, tenant: 't', ...source }
  assert.equal((await daemon.put('/v1/sources/sim', config)).status, 200)
  return { sim, daemon, config, lane: async (name) => (await daemon.get('/v1/sources/sim')).body.lanes.find(({ lane }) => lane === name) }
}

const figures = ({ messages, delivered, opened, clicked, failed_permanent, failed_temporary, complained, unsubscribed }) => ({
  ...{ messages, delivered, opened, clicked, failed_permanent, failed_temporary, complained, unsubscribed },
})

test('a source that is put is read at once, and its figures are the provider\'s', async () => {
  const { sim, daemon } = await simulated({}, { timing: { every: '1h', margin: '0s' } })
  const truth = figures((await sim.truth()).stats)
  await until(async () => {
    const { body } = await daemon.get('/v1/mailings/m-1/stats')
    return JSON.stringify(figures(body)) === JSON.stringify(truth)
  }, 30_000)
  const { coverage, lanes, webhook } = (await daemon.get('/v1/sources/sim')).body
  assert.ok(coverage.length > 0)
  assert.deepEqual(lanes.map(({ lane }) => lane), ['opens', 'others', 'recheck', 'backfill'])
  assert.ok(lanes[0].events > 0 && lanes[1].events > 0)
  assert.equal(webhook.events, 0)
})

test('webhooks of the simulator and polling of the same events give each figure once', async () => {
  const { sim, daemon } = await simulated({}, { timing: { every: '1h', margin: '0s' }, hook_tolerance: '36500d' })
  const truth = figures((await sim.truth()).stats)
  const asked = await sim.post('/sim/webhooks', { url: `${daemon.url}/v1/hooks/sim`, share: 1, order: 'random' })
  assert.ok(asked.status < 300, asked.text)
  await until(async () => (await daemon.get('/v1/sources/sim')).body.webhook.events > 0, 30_000)
  await until(async () => {
    const { body } = await daemon.get('/v1/mailings/m-1/stats')
    return JSON.stringify(figures(body)) === JSON.stringify(truth)
  }, 30_000)
  const { webhook, lanes } = (await daemon.get('/v1/sources/sim')).body
  const known = webhook.results.duplicate + lanes.reduce((sum, { results }) => sum + results.duplicate, 0)
  assert.ok(known > 0, 'one way recognises what the other brought')
})

test('a backfill is asked for once at a time, survives a power cut, and can be stopped', async () => {
  const { sim, daemon, lane } = await simulated({}, { api_key: 'wrong' })
  const begin = new Date(Date.now() - 5 * 86400e3).toISOString()
  const end = new Date(Date.now() - 3600e3).toISOString()
  const refused = {
    '/begin': [{ end }, { begin: 'yesterday', end }, { begin: new Date(Date.now() + 3600e3).toISOString(), end: new Date(Date.now() + 7200e3).toISOString() }],
    '/end': [{ begin }, { begin, end: 7 }, { begin: end, end: begin }, { begin, end: begin }],
    '/until': [{ begin, end, until: end }],
  }
  for (const [pointer, bodies] of Object.entries(refused))
    for (const body of bodies) {
      const answer = await daemon.post('/v1/sources/sim/backfill', body)
      assert.equal(answer.status, 422, JSON.stringify(body))
      assert.equal(answer.body.errors[0].pointer, pointer, answer.text)
    }
  assert.equal((await daemon.post('/v1/sources/nobody/backfill', { begin, end })).status, 404)
  assert.equal((await daemon.delete('/v1/sources/sim/backfill')).status, 204, 'none runs, which is as it should be')

  // The provider refuses the key, so the window stays open.
  assert.equal((await daemon.post('/v1/sources/sim/backfill', { begin, end })).status, 202)
  assert.equal((await daemon.post('/v1/sources/sim/backfill', { begin, end })).status, 409)
  await daemon.kill()
  await daemon.start()
  assert.equal(Date.parse((await lane('backfill')).window.begin), Date.parse(begin))
  assert.equal((await daemon.post('/v1/sources/sim/backfill', { begin, end })).status, 409)
  assert.equal((await daemon.delete('/v1/sources/sim/backfill')).status, 204)
  assert.equal((await daemon.delete('/v1/sources/sim/backfill')).status, 204)
  assert.equal((await lane('backfill')).window, null)
  await daemon.restart()
  assert.equal((await lane('backfill')).window, null)

  // With the right key it reads to its end.
  assert.equal((await daemon.put('/v1/sources/sim', { type: 'mailgun', base_url: sim.url, domain: sim.domain, tenant: 't', api_key: sim.key })).status, 200)
  assert.equal((await daemon.post('/v1/sources/sim/backfill', { begin, end })).status, 202)
  await until(async () => {
    const { window, events } = await lane('backfill')
    return window === null && events > 0
  }, 30_000)
})

test('a source that only hears has nothing to read back', async () => {
  const daemon = await start()
  await daemon.put('/v1/sources/pm', { type: 'postmark', tenant: 't', signing_key: 'user:password' })
  const answer = await daemon.post('/v1/sources/pm/backfill', { begin: '2026-01-01T00:00:00Z', end: '2026-01-02T00:00:00Z' })
  assert.equal(answer.status, 409)
  assert.deepEqual((await daemon.get('/v1/sources/pm')).body.lanes, [])
})
