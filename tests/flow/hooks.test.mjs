// Webhooks through the real door: who is believed, what is answered, and what is in the ledger when it was answered.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { startDaemon, until } from './lib/daemon.mjs'
import { certificate, mailgun, mailgunSignature, now, post, postmark, sendgrid, sendgridKeys, sns, topic } from './lib/webhooks.mjs'

const KEY = 'key-of-the-tests'
const zero = { applied: 0, unchanged: 0, duplicate: 0, parked: 0, unhandled: 0, malformed: 0 }

// A daemon with a tenant, a mailing of three recipients and one source.
async function start(type, config, options) {
  const daemon = await startDaemon(options)
  const good = async (answer) => assert.equal((await answer).status, 200, (await answer).text)
  await good(daemon.put('/v1/tenants/t', { timezone: 'Europe/London' }))
  await good(daemon.put('/v1/mailings/m', { tenant: 't', subject: 'news', sent_at: new Date().toISOString() }))
  const lines = ['a', 'b', 'c'].map((name) => ({
    recipient: `${name}@x.org`,
    member: `member-${name}`,
    provider_message_id: `${name}@mg.x.org`,
  }))
  await good(daemon.bulk('/v1/mailings/m/messages', lines))
  await good(daemon.put('/v1/sources/in', { type, tenant: 't', ...config }))
  return daemon
}

const stats = async (daemon) => (await daemon.get('/v1/mailings/m/stats')).body
const source = async (daemon) => (await daemon.get('/v1/sources/in')).body
const results = async (daemon) => (await source(daemon)).webhook.results
const warned = async (daemon, code) => (await source(daemon)).warnings.find((warning) => warning.code === code)

const event = (event, name, more = {}) => ({
  event,
  id: `${event}-${name}`,
  timestamp: now() - 5,
  recipient: `${name}@x.org`,
  message: { headers: { 'message-id': `${name}@mg.x.org` } },
  ...more,
})

test('a webhook of mailgun moves every figure of its mailing', async () => {
  const daemon = await start('mailgun', { signing_key: KEY })
  const failed = { severity: 'permanent', reason: 'bounce', 'delivery-status': { code: 550, message: 'no such user' } }
  const events = [
    event('delivered', 'a'),
    event('opened', 'a', { 'client-info': { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0' }, ip: '192.0.2.1' }),
    event('clicked', 'a', { url: 'https://x.org/1', 'client-info': { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0' } }),
    event('unsubscribed', 'a'),
    event('failed', 'b', failed),
    event('complained', 'c'),
    event('accepted', 'c'),
  ]
  for (const one of events) assert.equal((await post(daemon, 'in', mailgun(KEY, one))).status, 200)
  const figures = await stats(daemon)
  const { delivered, opened, clicked, failed_permanent, complained, unsubscribed } = figures
  assert.deepEqual([delivered, opened, clicked, failed_permanent, complained, unsubscribed], [1, 1, 1, 1, 1, 1])
  assert.deepEqual(await results(daemon), { ...zero, applied: 6, unhandled: 1 })

  const { body } = await daemon.get('/v1/mailings/m/failures')
  assert.deepEqual(body.items.map(({ recipient, severity, code, text }) => [recipient, severity, code, text]), [['b@x.org', 'permanent', 550, 'no such user']])
  const reasons = (await daemon.list('/v1/suppressions')).map(({ address, reason, scope, source }) => `${address} ${reason} ${scope} ${source}`)
  assert.deepEqual(reasons.sort(), ['a@x.org unsubscribe mailings in', 'b@x.org bounce all in', 'c@x.org complaint all in'])
  const member = (await daemon.get('/v1/members/member-a?tenant=t')).body
  assert.equal(member.opened, 1)
  assert.ok(member.last_seen_at)
})

test('a webhook that was answered 200 is there after a power cut', async () => {
  const daemon = await start('mailgun', { signing_key: KEY })
  for (const [round, name] of ['a', 'b', 'c'].entries()) {
    assert.equal((await post(daemon, 'in', mailgun(KEY, event('delivered', name)))).status, 200)
    await daemon.kill()
    await daemon.start()
    assert.equal((await stats(daemon)).delivered, round + 1)
  }
})

test('a changed byte of a mailgun signature is a 401 and changes nothing', async () => {
  const daemon = await start('mailgun', { signing_key: KEY })
  const right = mailgunSignature(KEY)
  const flip = (text) => (text[0] === '1' ? '2' : '1') + text.slice(1)
  const wrong = [
    { ...right, signature: flip(right.signature) },
    { ...right, token: flip(right.token) },
    { ...right, timestamp: String(Number(right.timestamp) + 1) },
    { ...right, signature: undefined },
    mailgunSignature('another key'),
    mailgunSignature(KEY, { timestamp: now() - 9 * 3600 - 60 }),
    mailgunSignature(KEY, { timestamp: now() + 600 }),
  ]
  for (const signature of wrong) {
    const body = JSON.stringify({ signature, 'event-data': event('delivered', 'a') })
    const answer = await post(daemon, 'in', { body, headers: { 'content-type': 'application/json' } })
    assert.equal(answer.status, 401, answer.text)
    assert.equal(answer.headers.get('content-type'), 'application/problem+json')
  }
  assert.equal((await stats(daemon)).delivered, 0)
  assert.deepEqual(await results(daemon), zero)
  const warning = await warned(daemon, 'hook_refused')
  assert.ok(warning, 'hook_refused')
  assert.ok(warning.since)
})

test('a mailgun token is good for one body, again and again', async () => {
  const daemon = await start('mailgun', { signing_key: KEY })
  const proof = { token: 'a-token-that-comes-back', timestamp: now() }
  const first = mailgun(KEY, event('delivered', 'a'), proof)
  for (let i = 0; i < 3; i++) assert.equal((await post(daemon, 'in', first)).status, 200)
  assert.deepEqual(await results(daemon), { ...zero, applied: 1 })
  assert.equal((await post(daemon, 'in', mailgun(KEY, event('delivered', 'b'), proof))).status, 401)
  assert.equal((await stats(daemon)).delivered, 1)
  await daemon.restart()
  assert.equal((await post(daemon, 'in', mailgun(KEY, event('delivered', 'b'), proof))).status, 401)
  assert.equal((await post(daemon, 'in', first)).status, 200)
  assert.equal((await stats(daemon)).delivered, 1)

  // The memory is the source's own: another account may happen to use the same token.
  await daemon.put('/v1/sources/other', { type: 'mailgun', tenant: 't', signing_key: KEY })
  assert.equal((await post(daemon, 'other', mailgun(KEY, event('delivered', 'b'), proof))).status, 200)
  assert.equal((await stats(daemon)).delivered, 2)
})

test('the same event under another token is a duplicate, and one for an unknown message waits for it', async () => {
  const daemon = await start('mailgun', { signing_key: KEY })
  const delivered = event('delivered', 'a')
  for (let i = 0; i < 3; i++) assert.equal((await post(daemon, 'in', mailgun(KEY, delivered))).status, 200)
  assert.equal((await post(daemon, 'in', mailgun(KEY, event('delivered', 'late')))).status, 200)
  assert.deepEqual(await results(daemon), { ...zero, applied: 1, duplicate: 2, parked: 1 })
  await daemon.bulk('/v1/mailings/m/messages', [{ recipient: 'late@x.org', provider_message_id: 'late@mg.x.org' }])
  assert.equal((await stats(daemon)).delivered, 2)
})

test('an authentic mailgun body that cannot be used is a 406, kept masked and counted', async () => {
  const daemon = await start('mailgun', { signing_key: KEY })
  const useless = [{ event: 'opened', id: 'x', timestamp: now(), recipient: 'someone@x.org' }, event('opened', 'a', { timestamp: 'abc' }), {}]
  for (const one of useless) assert.equal((await post(daemon, 'in', mailgun(KEY, one))).status, 406)
  const { malformed, webhook } = await source(daemon)
  assert.equal(webhook.results.malformed, 3)
  assert.equal(Object.values(malformed.reasons).reduce((a, b) => a + b), 3)
  assert.equal(malformed.newest.length, 3)
  assert.ok(!JSON.stringify(malformed).includes('someone@x.org'), 'addresses are masked')
  assert.equal((await stats(daemon)).opened, 0)
  assert.ok(await warned(daemon, 'malformed'))
})

test('a form post of before 2018 counts with the last signature in it', async () => {
  const daemon = await start('mailgun', { signing_key: KEY })
  const { timestamp, token, signature } = mailgunSignature(KEY)
  const form = new URLSearchParams({ event: 'bounced', recipient: 'a@x.org', 'Message-Id': '<a@mg.x.org>', code: '5.1.1', error: 'no such user', signature: 'of the application', timestamp, token })
  form.append('signature', signature)
  const answer = await post(daemon, 'in', { body: form.toString(), headers: { 'content-type': 'application/x-www-form-urlencoded' } })
  assert.equal(answer.status, 200, answer.text)
  assert.equal((await stats(daemon)).failed_permanent, 1)
})

test('a webhook of sendgrid counts event by event, its bytes as they were signed', async () => {
  const keys = sendgridKeys()
  const daemon = await start('sendgrid', { signing_key: keys.signingKey })
  const one = (event, name, more = {}) => ({ event, email: `${name}@x.org`, timestamp: now() - 5, sg_event_id: `${event}-${name}`, sg_message_id: `${name}@mg.x.org.filter1.1`, ...more })
  const batch = sendgrid(keys, [
    one('delivered', 'a'),
    one('open', 'a', { useragent: 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0', ip: '192.0.2.1' }),
    one('bounce', 'b', { type: 'bounce', status: '5.1.1', reason: '550 5.1.1 unknown' }),
    one('deferred', 'c', { response: '421 later' }),
    { event: 'open' },
    one('group_resubscribe', 'c'),
  ])
  assert.equal((await post(daemon, 'in', batch)).status, 200)
  assert.deepEqual(await results(daemon), { ...zero, applied: 4, malformed: 1, unhandled: 1 })
  const { delivered, opened, failed_permanent, failed_temporary } = await stats(daemon)
  assert.deepEqual([delivered, opened, failed_permanent, failed_temporary], [1, 1, 1, 1])

  const again = sendgrid(keys, [one('delivered', 'b')])
  const signed = again.headers['X-Twilio-Email-Event-Webhook-Signature']
  const time = again.headers['X-Twilio-Email-Event-Webhook-Timestamp']
  const wrong = [
    { body: again.body.trimEnd() },
    { body: again.body.replace('b@x.org', 'c@x.org') },
    { headers: { ...again.headers, 'X-Twilio-Email-Event-Webhook-Timestamp': String(Number(time) + 1) } },
    { headers: { ...again.headers, 'X-Twilio-Email-Event-Webhook-Signature': signed.replace(/.(.{4})$/, (all, end) => (all[0] === 'A' ? 'B' : 'A') + end) } },
    { headers: { 'content-type': 'application/json' } },
  ]
  for (const change of wrong) assert.equal((await post(daemon, 'in', again, change)).status, 401)
  assert.equal((await stats(daemon)).delivered, 1)
  assert.equal((await post(daemon, 'in', sendgrid(keys, 'no json'))).status, 200, 'authentic, but nothing to retry')
  assert.equal((await results(daemon)).malformed, 2)
})

test('a webhook of postmark needs its user and password', async () => {
  const daemon = await start('postmark', { signing_key: 'user:pass:word' })
  const record = { RecordType: 'Delivery', MessageID: 'a@mg.x.org', Recipient: 'a@x.org', DeliveredAt: new Date().toISOString() }
  for (const given of ['user:pass', 'User:pass:word', ':', ''])
    assert.equal((await post(daemon, 'in', postmark(given, record))).status, 401)
  assert.equal((await post(daemon, 'in', { ...postmark('', record), headers: { 'content-type': 'application/json' } })).status, 401)
  assert.equal((await stats(daemon)).delivered, 0)
  assert.equal((await post(daemon, 'in', postmark('user:pass:word', record))).status, 200)
  assert.equal((await stats(daemon)).delivered, 1)
  const change = { RecordType: 'SubscriptionChange', Recipient: 'new@x.org', SuppressSending: true, SuppressionReason: 'SpamComplaint', ChangedAt: new Date().toISOString() }
  assert.equal((await post(daemon, 'in', postmark('user:pass:word', change))).status, 200)
  assert.deepEqual((await daemon.list('/v1/suppressions?address=new@x.org')).map(({ reason }) => reason), ['complaint'])
})

const bounce = (name) => ({
  notificationType: 'Bounce',
  bounce: { bounceType: 'Permanent', bounceSubType: 'General', bouncedRecipients: [{ emailAddress: `${name}@x.org`, status: '5.1.1' }], timestamp: new Date().toISOString() },
  mail: { messageId: `${name}@mg.x.org`, timestamp: new Date().toISOString(), destination: [`${name}@x.org`] },
})

test('a webhook of ses is believed with the certificate that was given, both signature versions', async () => {
  const own = certificate()
  const daemon = await start('ses', { signing_key: own.pem, topics: [topic] })
  assert.equal((await post(daemon, 'in', sns(own, bounce('a'), { SignatureVersion: '1' }))).status, 200)
  assert.equal((await post(daemon, 'in', sns(own, JSON.stringify(bounce('b')) + '\n', { Subject: 'of SES' }))).status, 200)
  assert.equal((await stats(daemon)).failed_permanent, 2)
  assert.equal((await post(daemon, 'in', sns(own, 'Successfully validated SNS topic'))).status, 200)
  assert.deepEqual(await results(daemon), { ...zero, applied: 2, unhandled: 1 })
  const text = JSON.stringify((await daemon.get('/v1/sources/in')).body)
  assert.ok(!text.includes('BEGIN CERTIFICATE'))

  const third = sns(own, bounce('c'))
  const wrong = [
    { body: third.body.replace('c@x.org', 'd@x.org') },
    { body: third.body.replace('19:00:00', '19:00:01') },
    sns(certificate(), bounce('c')),
    sns(own, bounce('c'), { TopicArn: 'arn:aws:sns:eu-west-1:666666666666:ses' }),
    sns(own, '', { Type: 'SubscriptionConfirmation', Token: 't', SubscribeURL: 'https://sns.evil.example/?Action=ConfirmSubscription' }),
    sns(own, '', { Type: 'SubscriptionConfirmation', Token: 't', TopicArn: `${topic}2`, SubscribeURL: 'https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription' }),
  ]
  for (const change of wrong) assert.equal((await post(daemon, 'in', third, change)).status, 401, JSON.stringify(change.body))
  assert.equal((await stats(daemon)).failed_permanent, 2)
})

test('a certificate is asked of SNS only, and 503 with Retry-After while there is none', async () => {
  const own = certificate()
  const daemon = await start('ses', { topics: [topic] })
  const closed = sns(own, bounce('a'), { SigningCertURL: 'https://sns.zz-nowhere-9.amazonaws.com/no-such-certificate.pem' })
  const answer = await post(daemon, 'in', closed)
  assert.equal(answer.status, 503, answer.text)
  assert.ok(Number(answer.headers.get('retry-after')) > 0)
  for (const SigningCertURL of ['http://sns.eu-west-1.amazonaws.com/x.pem', 'https://sns.eu-west-1.amazonaws.com.evil.example/x.pem', 'https://127.0.0.1/x.pem'])
    assert.equal((await post(daemon, 'in', sns(own, bounce('a'), { SigningCertURL }))).status, 401)
  assert.equal((await stats(daemon)).failed_permanent, 0)
})

test('the door of webhooks answers for unknown sources, other methods, large and unreadable bodies', async () => {
  const daemon = await start('mailgun', { signing_key: KEY })
  const hook = mailgun(KEY, event('delivered', 'a'))
  assert.equal((await post(daemon, 'nobody', hook)).status, 404)
  for (const method of ['GET', 'PUT', 'DELETE', 'PATCH']) {
    const answer = await daemon.request(method, '/v1/hooks/in', { body: method === 'GET' ? undefined : '{}' })
    assert.equal(answer.status, 405)
    assert.equal(answer.headers.get('allow'), 'POST')
  }
  assert.equal((await post(daemon, 'in', hook, { body: 'x'.repeat((5 << 20) + 1) })).status, 413)
  assert.equal((await post(daemon, 'in', { body: '{"signature":', headers: { 'content-type': 'application/json' } })).status, 400)
  assert.equal((await stats(daemon)).delivered, 0)
})

test('without --dev a source without signing_key believes nobody, and no token is needed to be believed', async () => {
  const daemon = await startDaemon({ dev: true })
  await daemon.put('/v1/tenants/t', { timezone: 'UTC' })
  await daemon.put('/v1/sources/open', { type: 'mailgun', tenant: 't' })
  await daemon.put('/v1/sources/keyed', { type: 'mailgun', tenant: 't', signing_key: KEY })
  const unsigned = { body: JSON.stringify({ 'event-data': event('delivered', 'a') }), headers: { 'content-type': 'application/json' } }
  assert.equal((await post(daemon, 'open', unsigned)).status, 200)
  assert.equal((await post(daemon, 'keyed', unsigned)).status, 401)
  await daemon.stop()
  daemon.options.dev = false
  await daemon.start()
  assert.equal((await daemon.get('/v1/sources')).status, 401)
  assert.equal((await post(daemon, 'open', unsigned)).status, 401)
  assert.equal((await post(daemon, 'open', mailgun(KEY, event('delivered', 'a')))).status, 401)
  assert.equal((await post(daemon, 'keyed', mailgun(KEY, event('delivered', 'a')))).status, 200)
})

test('webhooks are in the metrics, each item in one result', async () => {
  const daemon = await start('mailgun', { signing_key: KEY })
  await post(daemon, 'in', mailgun(KEY, event('delivered', 'a')))
  await post(daemon, 'in', mailgun(KEY, event('accepted', 'a')))
  const { text } = await daemon.get('/metrics')
  const count = (result) => Number(text.match(new RegExp(`posthouse_source_events_total{source="in",lane="webhook",result="${result}"} (\\d+)`))?.[1])
  assert.equal(count('applied'), 1)
  assert.equal(count('unhandled'), 1)
})

test('many webhooks at once are all there, once', async () => {
  const daemon = await start('mailgun', { signing_key: KEY })
  const hooks = Array.from({ length: 200 }, (_, i) => mailgun(KEY, event('opened', 'a', { id: `open-${i % 100}`, 'client-info': { 'user-agent': 'Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0' } })))
  const answers = await Promise.all(hooks.map((hook) => post(daemon, 'in', hook)))
  assert.ok(answers.every(({ status }) => status === 200))
  const { applied, unchanged, duplicate, ...rest } = await results(daemon)
  assert.equal(applied + unchanged, 100)
  assert.equal(duplicate, 100)
  assert.equal((await stats(daemon)).opened, 1)
  await until(async () => (await daemon.get('/readyz')).status === 200)
})
