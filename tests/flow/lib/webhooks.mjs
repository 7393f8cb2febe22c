// Webhooks as the providers sign them, made by other code than ours (node's own crypto and the openssl command).
//
//   const { body, headers } = mailgun('the key', { event: 'delivered', ... })
//   await post(daemon, 'mg', mailgun('the key', {...}))
import { spawnSync } from 'node:child_process'
import { createHmac, createSign, generateKeyPairSync, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { folder } from './daemon.mjs'

export const now = () => Math.floor(Date.now() / 1000)
const json = { 'content-type': 'application/json' }

// Posts a signed webhook; changes go over it: { body } or { headers }.
export function post(daemon, source, hook, changes = {}) {
  const { body, headers } = { ...hook, ...changes }
  return daemon.request('POST', `/v1/hooks/${source}`, { body, headers, token: null })
}

// HMAC-SHA256 over timestamp and token; the body beside them is not signed.
export function mailgunSignature(key, { timestamp = now(), token = randomBytes(25).toString('hex') } = {}) {
  const signature = createHmac('sha256', key).update(`${timestamp}${token}`).digest('hex')
  return { timestamp: String(timestamp), token, signature }
}

export function mailgun(key, event, options) {
  return { body: JSON.stringify({ signature: mailgunSignature(key, options), 'event-data': event }), headers: json }
}

// ECDSA over the time and the bytes of the body.
export function sendgridKeys() {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { privateKey, signingKey: publicKey.export({ type: 'spki', format: 'der' }).toString('base64') }
}

export function sendgrid(keys, events, timestamp = now()) {
  const body = typeof events === 'string' ? events : JSON.stringify(events) + '\r\n'
  const signature = createSign('sha256').update(`${timestamp}${body}`).sign(keys.privateKey).toString('base64')
  return {
    body,
    headers: {
      ...json,
      'X-Twilio-Email-Event-Webhook-Signature': signature,
      'X-Twilio-Email-Event-Webhook-Timestamp': String(timestamp),
    },
  }
}

export function postmark(userAndPassword, record) {
  return {
    body: typeof record === 'string' ? record : JSON.stringify(record),
    headers: { ...json, authorization: `Basic ${Buffer.from(userAndPassword).toString('base64')}` },
  }
}

// A certificate of our own: { key, pem }.
export function certificate() {
  const [key, pem] = ['key.pem', 'cert.pem'].map((name) => join(folder(), name))
  const made = spawnSync('openssl', [
    ...['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '3650', '-subj', '/CN=sns.example.org'],
    ...['-keyout', key, '-out', pem],
  ])
  if (made.status !== 0) throw new Error(`openssl: ${made.stderr}`)
  return { key: readFileSync(key, 'utf8'), pem: readFileSync(pem, 'utf8') }
}

export const topic = 'arn:aws:sns:eu-west-1:123456789012:ses'

// An SNS envelope; `fields` are those that differ from a notification with this message.
export function sns({ key }, message, fields = {}) {
  const envelope = {
    Type: 'Notification',
    MessageId: '11111111-2222-3333-4444-555555555555',
    TopicArn: topic,
    Message: typeof message === 'string' ? message : JSON.stringify(message),
    Timestamp: '2026-11-21T19:00:00.000Z',
    SignatureVersion: '2',
    SigningCertURL: 'https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem',
    ...fields,
  }
  const notification = ['Message', 'MessageId', 'Subject', 'Timestamp', 'TopicArn', 'Type']
  const confirmation = ['Message', 'MessageId', 'SubscribeURL', 'Timestamp', 'Token', 'TopicArn', 'Type']
  const names = envelope.Type === 'Notification' ? notification : confirmation
  const text = names.filter((name) => envelope[name] != null).map((name) => `${name}\n${envelope[name]}\n`)
  const algorithm = envelope.SignatureVersion === '1' ? 'RSA-SHA1' : 'RSA-SHA256'
  envelope.Signature = createSign(algorithm).update(text.join('')).sign(key, 'base64')
  return { body: JSON.stringify(envelope), headers: { 'content-type': 'text/plain; charset=UTF-8' } }
}
