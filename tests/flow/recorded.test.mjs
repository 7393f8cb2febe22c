// What providers really sent, posted to the real daemon: the mailings that the recordings speak of are imported first,
// then every recording is posted, and figures, statuses, failures and suppressions are exactly what they mean. The
// recordings belong to others and are not in this project: without them the tests are skipped.
import { test } from 'node:test'
import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { startDaemon } from './lib/daemon.mjs'
import { certificate, mailgunSignature, post, postmark, sendgrid, sendgridKeys, sns } from './lib/webhooks.mjs'

const data = resolve('../shared/data')
const options = { skip: existsSync(data) ? false : 'no recorded data here' }
const text = (path) => readFileSync(join(data, path), 'utf8')
const files = (path, end) => readdirSync(join(data, path)).filter((name) => name.endsWith(end)).map((name) => join(path, name))
const OLD = '36500d' // the recordings, and with them their signatures, are years old

// messages: name -> [id at the provider, recipient, ...]; each name is a mailing.
async function start(messages) {
  const daemon = await startDaemon()
  await daemon.put('/v1/tenants/t', { timezone: 'UTC' })
  for (const [name, [provider_message_id, ...recipients]] of Object.entries(messages)) {
    await daemon.put(`/v1/mailings/${name}`, { tenant: 't', subject: name, sent_at: '2010-01-01T00:00:00Z' })
    const lines = recipients.map((recipient) => ({ id: `${name} ${recipient}`, recipient, member: recipient, provider_message_id }))
    const { body } = await daemon.bulk(`/v1/mailings/${name}/messages`, lines)
    assert.deepEqual([body.accepted, body.rejected], [recipients.length, []])
  }
  return daemon
}

// Posts a recording; the answer must be the one wanted.
async function send(daemon, source, hook, path, status = 200) {
  const answer = await post(daemon, source, hook)
  assert.equal(answer.status, status, `${path}: ${answer.text}`)
}

// Texts of others are known by their beginning and length.
const brief = (words) => `${words.slice(0, 9)}..${words.length}`

// Everything that stands in the ledger, in few words: figures, statuses, then failures of each mailing.
async function ledger(daemon, messages) {
  const figures = {}
  for (const name of Object.keys(messages)) {
    const { body } = await daemon.get(`/v1/mailings/${name}/stats`)
    const moved = Object.entries(body).filter(([key, value]) => Number.isInteger(value) && value > 0 && key !== 'messages' && !key.endsWith('rate'))
    const statuses = (await daemon.list(`/v1/messages?mailing=${name}`)).map(({ recipient, status }) => `${recipient} ${status}`)
    const failures = (await daemon.get(`/v1/mailings/${name}/failures`)).body.items.map((item) => `${item.recipient} ${item.severity} ${item.code} ${item.enhanced_code} ${brief(item.text)}`)
    figures[name] = [moved.map(([key, value]) => `${key} ${value}`).join(', '), ...statuses.sort(), ...failures.sort()]
  }
  const suppressed = (await daemon.list('/v1/suppressions')).map(({ address, reason, scope }) => `${address} ${reason} ${scope}`).sort()
  return { figures, suppressed }
}

// Sent again, nothing changes; recounted, nothing differs.
async function proved(daemon, messages, before) {
  assert.deepEqual(await ledger(daemon, messages), before)
  await daemon.kill()
  const check = JSON.parse((await daemon.cli(['check', ...daemon.store, '--json'])).stdout.trim().split('\n').at(-1))
  assert.equal(check.differ, 0)
}

// --- Mailgun ----------------------------------------------------------------------------------------------------------

const mailgunMessages = {
  read: ['20130503182626.18666.16540@app.symfony.com', 'alice@example.com'],
  bounced: ['20130503192659.13651.20287@app.symfony.com', 'alice@example.com'],
  complained: ['20130718032413.263EE2E0926@example.org', 'recipient@example.com'],
  undeliverable: ['20180812214638.1.4A7D468E9BC18C5D@example.org', 'undeliverable@nomx.example.com'],
  unsubscribed: ['20130822232216.13966.79700@samples.mailgun.org', 'recipient@example.com'],
  legacy: ['20160421175529.19495.89030.B3AE3728@example.com', 'recipient@example.com'],
}

const mailgunMeans = {
  figures: {
    read: ['delivered 1, opened 1, opened_human 1', 'alice@example.com delivered'],
    // The second recording of this bounce has the id of the first: a duplicate.
    bounced: ['failed_permanent 1', 'alice@example.com permanent-failure', 'alice@example.com permanent 550 null No Such U..17'],
    complained: ['complained 1', 'recipient@example.com sending'],
    undeliverable: [
      'failed_temporary 1',
      'undeliverable@nomx.example.com sending',
      'undeliverable@nomx.example.com temporary 498 null No MX for..26',
    ],
    unsubscribed: ['unsubscribed 1', 'recipient@example.com sending'],
    legacy: ['delivered 1', 'recipient@example.com delivered'],
  },
  suppressed: ['alice@example.com bounce all', 'recipient@example.com complaint all', 'recipient@example.com unsubscribe mailings'],
}

// Recordings without any word about which message they mean.
const useless = /clicked-signed|alt-smtp-code|dropped-spam|metadata|x-tags/

test('recorded webhooks of mailgun mean what they say', options, async () => {
  const key = 'TEST_WEBHOOK_SIGNING_KEY'
  const daemon = await start(mailgunMessages)
  const source = async (name, signing_key) => daemon.put(`/v1/sources/${name}`, { type: 'mailgun', tenant: 't', signing_key, hook_tolerance: OLD })
  const all = async () => {
    // The signatures that hold are posted as they are, each to a source of its own: they share one token.
    const signed = [...files('mailgun/webhook', '-signed.json'), ...files('mailgun/legacy-form', '.form')]
    for (const [i, path] of signed.entries()) {
      await source(`signed-${i}`, key)
      const type = path.endsWith('.form') ? 'application/x-www-form-urlencoded' : 'application/json'
      const hook = { body: text(path).trimEnd(), headers: { 'content-type': type } }
      await send(daemon, `signed-${i}`, hook, path, useless.test(path) ? 406 : 200)
    }
    await source('signed-otherwise', 'another key')
    await send(daemon, 'signed-otherwise', { body: text(signed[0]), headers: { 'content-type': 'application/json' } }, signed[0], 401)
    // The others get one that holds; all else stays.
    await source('resigned', 'key')
    for (const path of files('mailgun/webhook', '.json').filter((path) => !path.includes('-signed'))) {
      const body = JSON.stringify({ ...JSON.parse(text(path)), signature: mailgunSignature('key') })
      await send(daemon, 'resigned', { body, headers: { 'content-type': 'application/json' } }, path)
    }
  }
  await all()
  const known = await ledger(daemon, mailgunMessages)
  assert.deepEqual(known, mailgunMeans)
  await all()
  await proved(daemon, mailgunMessages, known)
})

// --- SendGrid ---------------------------------------------------------------------------------------------------------

const sendgridMessages = {
  read: ['wrfRRvF7Q0GgwUo2CvDmEA', 'recipient@example.com', 'invalid@invalid'],
  bounced: ['Lli-03HcQ5-JLybO9fXsJg', 'noreply@example.com'],
  everything: ['sg_message_id', 'example@test.com'],
  documented: ['14c5d75ce93.dfd.64b469', 'example@test.com'],
  newsletter: ['sendgrid_internal_message_id', 'email@example.com'],
  dropped: ['LRzXl_NHStOGhQ4kofSm_A', 'hello@world.com'],
}

const sendgridMeans = {
  figures: {
    read: [
      'delivered 1, opened 1, opened_human 1, failed_permanent 1',
      'invalid@invalid permanent-failure',
      'recipient@example.com delivered',
      'invalid@invalid permanent null null Invalid..7',
    ],
    bounced: [
      'failed_permanent 1',
      'noreply@example.com permanent-failure',
      'noreply@example.com permanent null 5.1.1 550 5.1.1..67',
    ],
    everything: [
      'delivered 1, opened 1, opened_human 1, clicked 1, clicked_human 1, failed_permanent 1, complained 1, unsubscribed 1',
      'example@test.com permanent-failure',
      'example@test.com permanent null 5.0.0 500 unkno..21',
    ],
    documented: [
      'clicked 1, clicked_human 1, failed_permanent 1, unsubscribed 1',
      'example@test.com permanent-failure',
      'example@test.com permanent null 5.0.0 500 unkno..21',
    ],
    newsletter: ['opened 1, opened_human 1', 'email@example.com sending'],
    dropped: ['failed_permanent 1', 'hello@world.com permanent-failure', 'hello@world.com permanent null null Bounced A..15'],
  },
  // Dropped ones suppress nobody: they never left, and say nothing new.
  suppressed: [
    'example@test.com bounce all',
    'example@test.com complaint all',
    'example@test.com unsubscribe mailings',
    'noreply@example.com bounce all',
  ],
}

test('recorded webhooks of sendgrid mean what they say', options, async () => {
  const daemon = await start(sendgridMessages)
  const keys = sendgridKeys()
  const real = Object.fromEntries(text('sendgrid/signed-dropped.headers').trim().split(/\r?\n/).map((line) => line.split(': ')))
  await daemon.put('/v1/sources/real', { type: 'sendgrid', tenant: 't', signing_key: real.Key })
  await daemon.put('/v1/sources/resigned', { type: 'sendgrid', tenant: 't', signing_key: keys.signingKey })
  const all = async () => {
    const { Key, ...headers } = real
    const body = readFileSync(join(data, 'sendgrid/signed-dropped.body'))
    await send(daemon, 'real', { body: body.subarray(0, -1), headers }, 'signed-dropped.body without its last byte', 401)
    await send(daemon, 'real', { body, headers }, 'signed-dropped.body')
    for (const path of files('sendgrid', '.json')) await send(daemon, 'resigned', sendgrid(keys, text(path)), path)
  }
  await all()
  const known = await ledger(daemon, sendgridMessages)
  assert.deepEqual(known, sendgridMeans)
  await all()
  await proved(daemon, sendgridMessages, known)
})

// --- Postmark ---------------------------------------------------------------------------------------------------------

const postmarkMessages = {
  failed: ['2706ee8a-737c-4285-b032-ccd317af53ed', 'bounce@example.com', 'spam@example.com'],
  delivered: ['883953f4-6105-42a2-a16a-77a8eac79483', 'recipient@example.com'],
  suppressed: ['b4cb783d-78ed-43f2-983b-63f55c712dc8', 'john@example.com'],
  unsubscribed: ['a4909a96-73d7-4c49-b148-a54522d3f7ac', 'john@example.com'],
  bounced: ['00000000-0000-0000-0000-000000000000', 'john@example.com'],
}

const postmarkMeans = {
  figures: {
    failed: [
      'failed_permanent 1, complained 1',
      'bounce@example.com permanent-failure',
      'spam@example.com sending',
      'bounce@example.com permanent null null smtp;550 ..72',
    ],
    delivered: ['delivered 1', 'recipient@example.com delivered'],
    // A change of the suppression alone: the bounce itself comes as a record of its own.
    suppressed: ['', 'john@example.com sending'],
    unsubscribed: ['unsubscribed 1', 'john@example.com sending'],
    bounced: [
      'opened 1, opened_human 1, failed_permanent 1',
      'john@example.com permanent-failure',
      'john@example.com permanent null null Test boun..19',
    ],
  },
  suppressed: [
    'bounce@example.com bounce all',
    'john@example.com bounce all',
    'john@example.com unsubscribe mailings',
    'spam@example.com complaint all',
  ],
}

test('recorded webhooks of postmark mean what they say', options, async () => {
  const daemon = await start(postmarkMessages)
  await daemon.put('/v1/sources/pm', { type: 'postmark', tenant: 't', signing_key: 'user:password' })
  const all = async () => {
    for (const path of files('postmark', '.json')) {
      await send(daemon, 'pm', postmark('user:passwort', text(path)), path, 401)
      await send(daemon, 'pm', postmark('user:password', text(path)), path)
    }
  }
  await all()
  const known = await ledger(daemon, postmarkMessages)
  assert.deepEqual(known, postmarkMeans)
  await all()
  await proved(daemon, postmarkMessages, known)
})

// --- SES --------------------------------------------------------------------------------------------------------------

const sesMessages = {
  documented: ['EXAMPLE7c191be45-e9aedb9a-02f9-4d12-a87d-dd0099a07f8a-000000', 'recipient@example.com', 'sender@example.com'],
  subscription: ['EXAMPLEe4bccb684-777bc8de-afa7-4970-92b0-f515137b1497-000000', 'recipient@example.com'],
  bounced: ['00000138111222aa-33322211-cccc-cccc-cccc-ddddaaaa0680-000000', 'jane@example.com', 'mary@example.com', 'richard@example.com'],
  complained: ['0000013786031775-163e3910-53eb-4c8e-a04a-f29debf88a84-000000', 'jane@example.com', 'richard@example.com'],
  delivered: ['0000014644fe5ef6-9a483358-9170-4cb4-a269-f5dcdf415321-000000', 'jane@example.com', 'mary@example.com'],
  two: ['00000137860315fd-34208509-5b74-41f3-95c5-22c1edc3c924-000000', 'jane@example.com', 'mary@example.com', 'richard@example.com'],
  notify: ['ref1', 'recipient1@example.com', 'testing@example.org'],
  opened: ['7c191be45-e9aedb9a-02f9-4d12-a87d-dd0099a07f8a-000000', 'recipient@example.com'],
  relay: ['0100017e6dde5594-4912fac5-bd85-4358-98d4-7b8d8b89fc60-000000', 'relayuser@test.com'],
  rendering: ['c191be45-e9aedb9a-02f9-4d12-a87d-dd0099a07f8a-000000', 'recipient@example.com'],
}

const sesMeans = {
  figures: {
    documented: [
      'delivered 1, clicked 1, clicked_human 1, failed_permanent 2',
      'recipient@example.com permanent-failure',
      'sender@example.com technical-failure',
      'recipient@example.com permanent null 5.1.1 smtp; 550..28',
      'sender@example.com permanent null null Bad conte..11',
    ],
    subscription: ['unsubscribed 1', 'recipient@example.com sending'],
    bounced: [
      'failed_permanent 1',
      'jane@example.com permanent-failure',
      'mary@example.com sending',
      'richard@example.com sending',
      'jane@example.com permanent null 5.1.1 smtp; 550..42',
    ],
    complained: ['complained 1', 'jane@example.com sending', 'richard@example.com sending'],
    delivered: ['delivered 1', 'jane@example.com delivered', 'mary@example.com sending'],
    two: [
      'failed_permanent 2',
      'jane@example.com permanent-failure',
      'mary@example.com sending',
      'richard@example.com permanent-failure',
      'jane@example.com permanent null null Error unk..13',
      'richard@example.com permanent null null Error unk..13',
    ],
    notify: ['delivered 1, complained 1', 'recipient1@example.com sending', 'testing@example.org delivered'],
    opened: ['opened 1, opened_human 1', 'recipient@example.com sending'],
    relay: ['failed_permanent 1', 'relayuser@test.com permanent-failure', 'relayuser@test.com permanent null 5.1.1 Amazon SE..308'],
    rendering: [
      'failed_permanent 1',
      'recipient@example.com technical-failure',
      "recipient@example.com permanent null null Attribute..63",
    ],
  },
  suppressed: [
    'jane@example.com bounce all',
    'recipient1@example.com complaint all',
    'recipient@example.com bounce all',
    'recipient@example.com unsubscribe mailings',
    'relayuser@test.com bounce all',
    'richard@example.com bounce all',
    'richard@example.com complaint all',
  ],
}

test('recorded notifications of ses mean what they say', options, async () => {
  const daemon = await start(sesMessages)
  const own = certificate()
  const envelopes = files('ses/sns', '.json').map((path) => [path, JSON.parse(text(path))])
  const topic = 'arn:aws:sns:us-east-1:123456789012:all'
  const topics = [topic, ...new Set(envelopes.filter(([, { Type }]) => Type === 'Notification').map(([, { TopicArn }]) => TopicArn).filter(Boolean))]
  await daemon.put('/v1/sources/ses', { type: 'ses', tenant: 't', signing_key: own.pem, topics })
  const all = async () => {
    for (const path of [...files('ses/event', '.json'), ...files('ses/notification', '.json')])
      await send(daemon, 'ses', sns(own, text(path), { TopicArn: topic }), path)
    for (const [path, envelope] of envelopes) {
      const { Signature, SignatureVersion = '1', Message, TopicArn = topic, ...fields } = envelope
      // A subscription to a topic of somebody else is refused, whoever signed it.
      await send(daemon, 'ses', sns(own, Message, { ...fields, SignatureVersion, TopicArn }), path, fields.Type === 'Notification' ? 200 : 401)
      await send(daemon, 'ses', { body: text(path), headers: { 'content-type': 'text/plain' } }, `${path} as it was signed`, 401)
    }
  }
  await all()
  const known = await ledger(daemon, sesMessages)
  assert.deepEqual(known, sesMeans)
  await all()
  await proved(daemon, sesMessages, known)
})
