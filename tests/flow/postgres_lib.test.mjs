// The PostgreSQL that other tests stand on: fresh databases, a crash, and the same data afterwards.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { postgres, skip, startPostgres } from './lib/postgres.mjs'

test('each database of a test is empty and its own', { skip }, async () => {
  const server = await postgres()
  const [one, two] = [await server.database(), await server.database()]
  await server.query(one, 'CREATE TABLE t(a bigint, b text); INSERT INTO t VALUES (1, NULL), (2, $$x\ny$$)')
  assert.deepEqual(await server.query(one, 'SELECT a, b FROM t ORDER BY a'), [['1', ''], ['2', 'x\ny']])
  await assert.rejects(server.query(two, 'SELECT * FROM t'), /does not exist/)
})

test('what was committed is there after a crash', { skip: skip || (process.env.POSTHOUSE_TEST_DATABASE ? 'that server is not ours to end' : false) }, async () => {
  const server = await startPostgres()
  const url = await server.database()
  await server.query(url, 'CREATE TABLE t(a bigint); INSERT INTO t VALUES (7)')
  await server.crash()
  await assert.rejects(server.query(url, 'SELECT 1'), /refused/)
  await server.start()
  assert.deepEqual(await server.query(url, 'SELECT a FROM t'), [['7']])
})
