import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, beforeEach, describe, test } from 'node:test'
import { pathToFileURL } from 'node:url'
import { DiskSpaceError, diskFull } from '../../src/files/disk-space-node.ts'
import {
  findCachedModel,
  linkIntoSnapshot,
  listCachedModels,
  ModelIdError,
  modelFolder,
  removeCachedModel,
} from '../../src/hub/cache-node.ts'
import { HashMismatchError } from '../../src/hub/download-node.ts'
import { hubCacheDirectory, hubToken } from '../../src/hub/environment-node.ts'
import { HubAccessError, HubError, HubNotFoundError, HubUnreachableError, retryAfterMs } from '../../src/hub/http.ts'
import { type PullEvent, type PullOptions, pull } from '../../src/hub/hub-node.ts'
import { locateModel } from '../../src/hub/locate-node.ts'
import { isLocked, withLock } from '../../src/hub/lock-node.ts'
import { loadCheckpoint } from '../checkpoint/load-directory.ts'
import { memorySink } from '../checkpoint/memory-sink.ts'
import { COMMIT, fakeHub, hashes, MODEL } from './fake-hub.ts'

const temporary = mkdtempSync(join(tmpdir(), 'lineage-hub-'))
const hub = await fakeHub()
after(async () => {
  await hub.close()
  rmSync(temporary, { recursive: true, force: true })
})
beforeEach(() => {
  hub.requests.length = 0
  hub.bytesSent = 0
  hub.misbehave = () => false
  hub.listing = () => false
  hub.head = () => ({})
})

const PIECE = 16384
const needed = [
  'config.json',
  'tokenizer.json',
  'model.safetensors.index.json',
  'model-00001-of-00002.safetensors',
  'model-00002-of-00002.safetensors',
]
const shard = 'model-00001-of-00002.safetensors'
const totalBytes = needed.reduce((sum, name) => sum + hub.files.get(name)!.byteLength, 0)

function setUp(options: PullOptions & { token?: string } = {}) {
  const cache = mkdtempSync(join(temporary, 'cache-'))
  const env = { HF_HUB_CACHE: cache, HF_ENDPOINT: hub.url, HF_HUB_DISABLE_IMPLICIT_TOKEN: '1', HF_TOKEN: options.token }
  const events: PullEvent[] = []
  const run = (more: PullOptions = {}) =>
    pull(MODEL, { env, pieceBytes: PIECE, http: { retryMs: 5, tries: 4 }, onEvent: (event) => events.push(event), ...options, ...more })
  return { cache, env, events, run, blobs: join(cache, 'models--tests--tiny-qwen3-moe', 'blobs') }
}

/** Every needed file is in the snapshot with the published bytes, and there is no other file. */
function assertComplete(cache: string) {
  const folder = join(cache, 'models--tests--tiny-qwen3-moe')
  const snapshot = join(folder, 'snapshots', COMMIT)
  assert.deepEqual(readdirSync(snapshot).sort(), [...needed].sort())
  for (const name of needed) assert.ok(readFileSync(join(snapshot, name)).equals(hub.files.get(name)!), name)
  assert.equal(readFileSync(join(folder, 'refs/main'), 'utf8'), COMMIT)
  const blobs = readdirSync(join(folder, 'blobs'))
  assert.equal(blobs.length, needed.length, blobs.join(', '))
  assert.deepEqual(readdirSync(join(cache, '.locks/models--tests--tiny-qwen3-moe')), [])
}

/** No final name holds anything but the published bytes. */
function assertNoWrongFile(blobs: string) {
  const known = new Map(
    [...hub.files.values()].flatMap(
      (bytes) =>
        [
          [hashes.sha256(bytes), bytes],
          [hashes.git(bytes), bytes],
        ] as const,
    ),
  )
  for (const name of existsSync(blobs) ? readdirSync(blobs) : []) {
    if (!/^[0-9a-f]+$/.test(name)) continue
    assert.ok(readFileSync(join(blobs, name)).equals(known.get(name)!), name)
  }
}

const rejects = (promise: Promise<unknown>, expected: new (...args: never[]) => Error, message: RegExp) =>
  assert.rejects(promise, (error: Error) => {
    assert.ok(error instanceof expected, `${error.name}: ${error.message}\n${error.stack}`)
    assert.match(error.message, message)
    return true
  })

describe('a well-behaved hub', () => {
  test('takes only what is needed, in the layout that Python shares, once', async () => {
    const { cache, run, events } = setUp()
    const result = await run()
    assertComplete(cache)
    assert.deepEqual([...result.files].sort(), [...needed].sort())
    assert.equal(result.downloadedBytes, totalBytes)
    assert.equal(hub.bytesSent, totalBytes)
    const link = join(result.directory, shard)
    assert.ok(lstatSync(link).isSymbolicLink())
    assert.equal(readlinkSync(link), `../../blobs/${hashes.sha256(hub.files.get(shard)!)}`)
    assert.equal(readlinkSync(join(result.directory, 'config.json')), `../../blobs/${hashes.git(hub.files.get('config.json')!)}`)
    const progress = events.filter((event) => event.kind === 'progress')
    assert.equal(progress.at(-1)!.allBytes, totalBytes)
    const { architecture } = await loadCheckpoint(result.directory, memorySink())
    assert.equal(architecture.modelType, 'qwen3_moe')
    assert.equal(await findCachedModel(MODEL, { cache }), result.directory)

    hub.bytesSent = 0
    const again = await run()
    assert.equal(again.downloadedBytes, 0)
    assert.equal(hub.bytesSent, 0)
  })

  test('pieces are fetched in parallel, never more than allowed', async () => {
    const { run } = setUp({ connections: 3 })
    let now = 0
    let most = 0
    hub.misbehave = async (_, response) => {
      most = Math.max(most, ++now)
      response.on('close', () => now--)
      await new Promise((resolve) => setTimeout(resolve, 2))
      return false
    }
    await run()
    assert.equal(most, 3)
  })

  test('where symbolic links are refused the file is linked or copied', async () => {
    const directory = mkdtempSync(join(temporary, 'links-'))
    mkdirSync(join(directory, 'blobs'))
    writeFileSync(join(directory, 'blobs/abc'), 'bytes')
    const refuse = async () => {
      throw Object.assign(new Error('not permitted'), { code: 'EPERM' })
    }
    await linkIntoSnapshot(join(directory, 'blobs/abc'), join(directory, 'snapshots/1/file'), refuse)
    assert.ok(!lstatSync(join(directory, 'snapshots/1/file')).isSymbolicLink())
    assert.equal(readFileSync(join(directory, 'snapshots/1/file'), 'utf8'), 'bytes')
  })
})

describe('a misbehaving hub', () => {
  test('drops connections in the middle: continues where it broke off', async () => {
    const { cache, run } = setUp()
    let kept = 0
    hub.misbehave = (request, response, body) => {
      if (!/safetensors$/.test(request.name) || body.byteLength < 1000) return false
      const whole = hub.files.get(request.name)!.byteLength
      response.writeHead(206, { 'content-length': body.byteLength, 'content-range': `bytes ${request.from}-${request.to}/${whole}` })
      const half = Math.ceil(body.byteLength / 2)
      kept += half
      response.write(body.subarray(0, half), () => setTimeout(() => response.destroy(), 1))
      return true
    }
    await run()
    assertComplete(cache)
    assert.ok(kept + hub.bytesSent < totalBytes * 1.6, `${kept + hub.bytesSent} bytes were sent for ${totalBytes}`)
  })

  test('answers 429 and 503 with Retry-After: waits that long, then goes on', async () => {
    const { cache, run, events } = setUp()
    let refused = 0
    hub.misbehave = (request, response) => {
      if (request.name !== shard || refused >= 3) return false
      const status = [429, 503, 503][refused++]!
      const when = status === 429 ? '1' : new Date(Date.now() + 1000).toUTCString()
      response.writeHead(status, { 'retry-after': when }).end()
      return true
    }
    const start = performance.now()
    await run({ connections: 1 })
    assertComplete(cache)
    assert.ok(performance.now() - start >= 950)
    const pauses = events.filter((event) => event.kind === 'pause')
    assert.equal(pauses.length, 3)
    assert.equal(pauses[0]!.milliseconds, 1000)
    assert.equal(pauses[0]!.reason, 'status 429')
  })

  test('asks to wait for a day: says so instead of hanging', async () => {
    const { run } = setUp()
    hub.listing = (_, response) => {
      response.writeHead(429, { 'retry-after': '86400' }).end()
      return true
    }
    await rejects(run(), HubUnreachableError, /asks to wait 86400 s/)
  })

  test('refuses for ever: gives up with what to do', async () => {
    const { run, blobs } = setUp()
    hub.misbehave = (request, response) => {
      if (request.name !== shard) return false
      response.writeHead(503).end()
      return true
    }
    await rejects(run(), HubUnreachableError, /failed 4 times.*status 503.*run the command again/)
    assertNoWrongFile(blobs)
    assert.ok(!existsSync(join(blobs, '../snapshots')))
  })

  test('does not answer at all, or stops in the middle of a transfer', async () => {
    const { run, cache } = setUp({ http: { tries: 8, retryMs: 5, stallMs: 400 } })
    let silent = 4
    hub.misbehave = (request, response, body) => {
      if (request.name !== shard || silent-- <= 0) return false
      if (silent % 2) return true // never answered
      const whole = hub.files.get(shard)!.byteLength
      response.writeHead(206, { 'content-length': body.byteLength, 'content-range': `bytes ${request.from}-${request.to}/${whole}` })
      response.write(body.subarray(0, 100))
      return true
    }
    await run()
    assertComplete(cache)
  })

  test('ignores ranges: one stream serves all pieces', async () => {
    const { cache, run } = setUp()
    let whole = 0
    hub.misbehave = (request, response) => {
      const bytes = hub.files.get(request.name)!
      if (request.name === shard) whole++
      response.writeHead(200, { 'content-length': bytes.byteLength })
      // Slowly, so that the other requests arrive meanwhile.
      response.write(bytes.subarray(0, 5000))
      setTimeout(() => response.end(bytes.subarray(5000)), 30)
      return true
    }
    await run()
    assertComplete(cache)
    assert.ok(whole <= 9, `${whole} requests`)
  })

  test('ignores ranges and drops the stream: goes on behind the finished pieces', async () => {
    const { cache, run } = setUp({ connections: 4 })
    let round = 0
    hub.misbehave = (request, response) => {
      const bytes = hub.files.get(request.name)!
      response.writeHead(200, { 'content-length': bytes.byteLength })
      if (request.name === shard && round++ < 6)
        response.write(bytes.subarray(0, round * 3 * PIECE), () => setTimeout(() => response.destroy(), 2))
      else response.end(bytes)
      return true
    }
    await run()
    assertComplete(cache)
  })

  test('answers a range with another range', async () => {
    const { cache, run } = setUp()
    let wrong = 3
    hub.misbehave = (request, response, body) => {
      if (request.name !== shard || wrong-- <= 0) return false
      response.writeHead(206, { 'content-range': `bytes 0-${body.byteLength - 1}/${body.byteLength}` }).end(body)
      return true
    }
    await run()
    assertComplete(cache)
  })

  test('serves a wrong byte once: fetched again, right in the end', async () => {
    const { cache, run } = setUp()
    let wrong = 1
    hub.misbehave = (request, response, body) => {
      if (request.name !== shard || request.from !== 3 * PIECE || wrong-- <= 0) return false
      const bad = Buffer.from(body)
      bad[77]! ^= 1
      const whole = hub.files.get(shard)!.byteLength
      response.writeHead(206, { 'content-range': `bytes ${request.from}-${request.to}/${whole}` }).end(bad)
      return true
    }
    await run()
    assertComplete(cache)
  })

  test('serves a wrong byte always: an error that names the file, and no wrong file', async () => {
    for (const name of [shard, 'config.json']) {
      const { run, blobs } = setUp()
      hub.misbehave = (request, response, body) => {
        if (request.name !== name) return false
        const bad = Buffer.from(body)
        if (request.from === 0) bad[3]! ^= 1
        const whole = hub.files.get(name)!.byteLength
        response.writeHead(206, { 'content-range': `bytes ${request.from}-${request.to}/${whole}` }).end(bad)
        return true
      }
      await rejects(run(), HashMismatchError, new RegExp(`${name.replaceAll('.', '\\.')}.*expected (sha256|git-sha1) [0-9a-f]{40}`))
      assertNoWrongFile(blobs)
      assert.ok(!existsSync(join(blobs, '../snapshots')))
      assert.ok(!existsSync(join(blobs, '../refs')))
    }
  })

  test('sends more bytes than the file has', async () => {
    const { run, blobs } = setUp()
    hub.misbehave = (request, response) => {
      if (request.name !== 'config.json') return false
      response.writeHead(200).end(Buffer.alloc(100_000))
      return true
    }
    await rejects(run(), HubUnreachableError, /more than the \d+ bytes of config\.json/)
    assertNoWrongFile(blobs)
  })

  test('redirects to another host: the token stays at home', async () => {
    const { cache, run } = setUp({ token: 'hf_secret' })
    hub.misbehave = (request, response) => {
      if (request.elsewhere) return false
      assert.equal(request.authorization, 'Bearer hf_secret')
      response.writeHead(302, { location: `${hub.otherUrl}/${MODEL}/resolve/${COMMIT}/${request.name}` }).end()
      return true
    }
    await run()
    assertComplete(cache)
    const there = hub.requests.filter((request) => request.elsewhere)
    assert.ok(there.length > 50)
    assert.ok(there.every((request) => request.authorization === undefined))
    // Once the way is known, pieces are asked for there directly.
    assert.ok(hub.requests.length - there.length <= 3 + 2 * 8)
  })

  test('a link that expires is asked for again', async () => {
    const { cache, run } = setUp({ token: 'hf_secret' })
    let links = 0
    const uses = new Map<string, number>()
    hub.misbehave = (request, response) => {
      if (!request.elsewhere) {
        links++
        uses.set(request.name, 0)
        response.writeHead(302, { location: `${hub.otherUrl}/${MODEL}/resolve/${COMMIT}/${request.name}` }).end()
        return true
      }
      assert.equal(request.authorization, undefined)
      const used = uses.get(request.name)! + 1
      uses.set(request.name, used)
      if (used < 10) return false
      response.writeHead(403).end()
      return true
    }
    await run({ connections: 1 })
    assertComplete(cache)
    assert.ok(links >= needed.length + 4, `${links} links`)
  })

  test('redirects within the same host keep the token; circles and other protocols end', async () => {
    const { cache, run } = setUp({ token: 'hf_secret' })
    hub.listing = (request, response) => {
      if (request.url!.includes('again')) {
        assert.equal(request.headers.authorization, 'Bearer hf_secret')
        return false
      }
      response.writeHead(307, { location: `${request.url}&again=1` }).end()
      return true
    }
    await run()
    assertComplete(cache)
    hub.listing = (request, response) => {
      response.writeHead(307, { location: request.url! }).end()
      return true
    }
    await rejects(setUp().run(), HubError, /redirects more than 8 times/)
    hub.listing = (_, response) => {
      response.writeHead(302, { location: 'ftp://example.org/x' }).end()
      return true
    }
    await rejects(setUp().run(), HubError, /ftp:/)
  })

  test('401, 403 and 404 say what to do', async () => {
    for (const [status, expected, message] of [
      [401, HubAccessError, /HF_TOKEN/],
      [403, HubAccessError, /gated.*accept its terms/],
      [404, HubNotFoundError, /spelling/],
    ] as const) {
      hub.listing = (_, response) => {
        response.writeHead(status, { 'x-error-message': 'so it is' }).end()
        return true
      }
      await rejects(setUp().run(), expected, message)
    }
    assert.equal(hub.requests.length, 0)
  })

  test('a listing that is none, or with hostile names and hashes', async () => {
    const answers: [unknown, RegExp][] = [
      ['<html>', /JSON/],
      ['{}', /"sha"/],
      [{ sha: '../../x', siblings: [] }, /"sha"/],
      [{ sha: COMMIT }, /"siblings"/],
      [{ sha: COMMIT, siblings: [{ rfilename: '../config.json' }] }, /no config\.json/],
      [
        { sha: COMMIT, siblings: ['config.json', shard].map((rfilename) => ({ rfilename, size: 5, blobId: '../../../x' })) },
        /size and hash/,
      ],
      [{ sha: COMMIT, siblings: ['config.json', shard].map((rfilename) => ({ rfilename, size: -5, blobId: COMMIT })) }, /size and hash/],
    ]
    for (const [answer, message] of answers) {
      hub.listing = (_, response) => {
        response.end(typeof answer === 'string' ? answer : JSON.stringify(answer))
        return true
      }
      await rejects(setUp().run(), HubError, message)
    }
  })

  test('nobody listens at the address', async () => {
    const { run, env } = setUp()
    await rejects(
      run({ env: { ...env, HF_ENDPOINT: 'http://127.0.0.1:9' } }),
      HubUnreachableError,
      /127\.0\.0\.1:9 failed 4 times.*HF_ENDPOINT/,
    )
  })
})

describe('disk, interruption, processes', () => {
  test('too little disk is found before anything is downloaded', async () => {
    const { run, cache } = setUp({ freeBytes: async () => 1e6 })
    await rejects(run(), DiskSpaceError, / KiB must still be written, but only 976\.6 KiB are free/)
    assert.deepEqual(hub.requests.map(({ name }) => name).sort(), ['config.json', 'model.safetensors.index.json'])
    await run({ freeBytes: async () => 1e12 })
    assertComplete(cache)
  })

  test('a disk that fills up meanwhile is named', () => {
    const full = diskFull(Object.assign(new Error('no space left on device'), { code: 'ENOSPC' }), '/cache/blob')
    assert.ok(full instanceof DiskSpaceError)
    assert.match(full.message, /^\/cache\/blob: the disk is full\. Free some space/)
    const other = new Error('else')
    assert.equal(diskFull(other, '/cache/blob'), other)
  })

  test('an abort stops at once; the next run fetches only the rest', async () => {
    const { run, cache, blobs } = setUp({ connections: 2 })
    const stop = new AbortController()
    await assert.rejects(
      run({
        signal: stop.signal,
        onEvent(event) {
          if (event.kind === 'progress' && event.allBytes > totalBytes / 2) stop.abort(new Error('Ctrl-C'))
        },
      }),
      /Ctrl-C/,
    )
    const before = donePieces(blobs)
    assert.ok(before.size > 10)
    hub.requests.length = 0
    await run()
    assertComplete(cache)
    assertNotRequested(before)
  })

  test('killed twenty times at random moments, the files are right and no finished piece is fetched twice', async () => {
    const { env, cache, blobs } = setUp()
    hub.misbehave = async () => {
      await new Promise((resolve) => setTimeout(resolve, 12))
      return false
    }
    let kills = 0
    let resumed = 0
    for (let round = 0; ; round++) {
      const before = donePieces(blobs)
      if (before.size > 0) resumed++
      hub.requests.length = 0
      const child = startPull(env, 4096)
      // From before the first request to well into the transfer; the later rounds have to finish what is left.
      const killed = round < 20 && (await killAfter(child, hub, round % 5 === 0 ? 0 : 4 + Math.floor(Math.random() * 14)))
      if (!killed) assert.equal(await child.ended, 0, child.errors())
      assertNotRequested(before)
      assertNoWrongFile(blobs)
      if (!killed) break
      kills++
      assert.ok(!existsSync(join(cache, 'models--tests--tiny-qwen3-moe/refs/main')))
    }
    assert.equal(kills, 20)
    assert.ok(resumed >= 10, `${resumed} rounds found finished pieces`)
    assertComplete(cache)
  })

  test('two processes that pull the same model do not disturb each other', async () => {
    const { env, cache } = setUp()
    // Nobody gets anything before one of the two has found the lock taken.
    const waits = () => children.some((child) => child.output().includes('locked'))
    hub.misbehave = async () => {
      while (!waits()) await new Promise((resolve) => setTimeout(resolve, 5))
      return false
    }
    const children = [startPull(env, PIECE), startPull(env, PIECE)]
    for (const child of children) assert.equal(await child.ended, 0, child.errors())
    assertComplete(cache)
    assert.equal(hub.bytesSent, totalBytes)
    assert.ok(waits())
  })

  test('a lock whose process is gone is taken over, a living one is waited for', async () => {
    const path = join(mkdtempSync(join(temporary, 'lock-')), 'x.lock')
    const gone = spawn(process.execPath, ['-e', '0'])
    await new Promise((resolve) => gone.on('exit', resolve))
    const { hostname } = await import('node:os')
    writeFileSync(path, JSON.stringify({ process: gone.pid, host: hostname(), id: 'x' }))
    assert.equal(await isLocked(path), false)
    const order: string[] = []
    const [held, waited] = [Promise.withResolvers<void>(), Promise.withResolvers<string>()]
    const first = withLock(path, async () => {
      order.push('first')
      assert.equal(await isLocked(path), true)
      held.resolve()
      await waited.promise
      order.push('first ends')
    })
    await held.promise
    const second = withLock(path, async () => void order.push('second'), { onWait: waited.resolve })
    await Promise.all([first, second])
    const holder = await waited.promise
    assert.deepEqual(order, ['first', 'first ends', 'second'])
    assert.equal(holder, `process ${process.pid}`)
    assert.deepEqual(readdirSync(join(path, '..')), [])
    // Another thread of this process may hold it.
    writeFileSync(path, JSON.stringify({ process: process.pid, host: hostname(), id: 'y' }))
    await assert.rejects(
      withLock(path, async () => {}, { signal: AbortSignal.timeout(50) }),
      /timeout/i,
    )
  })

  test('a lock of a killed process whose number is in use again is taken over', async ({ mock }) => {
    const { hostname } = await import('node:os')
    const path = join(mkdtempSync(join(temporary, 'lock-')), 'x.lock')
    const leave = (pid: number, minutes: number) => {
      const past = new Date(Date.now() - minutes * 60_000)
      writeFileSync(path, JSON.stringify({ process: pid, host: hostname(), id: 'of the killed one' }))
      utimesSync(path, past, past)
    }
    // The number of this process, as in a container that was started again.
    leave(process.pid, 8)
    assert.equal(await isLocked(path), false)
    await withLock(path, async () => {}, { signal: AbortSignal.timeout(5000) })

    // The number of another process that runs: the lock counts while it is refreshed, with a long margin.
    let polls = 0
    let onPoll = () => {}
    mock.method(globalThis, 'setTimeout', (wake: () => void) => {
      polls++
      onPoll()
      return setImmediate(wake)
    })
    const taken = async () => {
      const stop = new AbortController()
      polls = 0
      const body = async () => true
      const lock = withLock(path, body, { signal: stop.signal }).catch(() => false)
      for (let done = false; !done && polls < 100; ) done = await Promise.race([lock, new Promise<false>((r) => setImmediate(r, false))])
      stop.abort()
      return lock
    }
    leave(process.ppid, 8)
    assert.equal(await isLocked(path), true)
    assert.equal(await taken(), false)
    leave(process.ppid, 12)
    assert.equal(await isLocked(path), false)
    assert.equal(await taken(), true)
    assert.ok(polls >= 50, `after ${polls} polls`)
    // Both slept, and the holder refreshes its lock a moment later.
    leave(process.ppid, 12)
    onPoll = () => void (polls === 10 && utimesSync(path, new Date(), new Date()))
    assert.equal(await taken(), false)
  })

  /** 'file:piece' of every piece that a journal calls finished. */
  function donePieces(blobs: string, pieceBytes?: number): Set<string> {
    const done = new Set<string>()
    for (const name of existsSync(blobs) ? readdirSync(blobs) : []) {
      const bytes = [...hub.files].find(([, content]) => name.startsWith(hashes.sha256(content)) || name.startsWith(hashes.git(content)))!
      if (!name.includes('.')) for (let at = 0; at < bytes[1].byteLength; at++) if (at % 512 === 0) done.add(`${bytes[0]}:${at}`)
      if (!name.endsWith('.pieces')) continue
      const journal = readFileSync(join(blobs, name), 'latin1')
      if (!journal.startsWith('{')) continue
      const size = pieceBytes ?? (JSON.parse(journal.slice(0, 1024)) as { pieceBytes: number }).pieceBytes
      ;[...journal.slice(1024)].forEach((mark, piece) => {
        if (mark !== '#') return
        for (let at = piece * size; at < Math.min(bytes[1].byteLength, (piece + 1) * size); at += 512) done.add(`${bytes[0]}:${at}`)
      })
    }
    return done
  }

  /** No request asked for a byte (in steps of 512) that was finished before. */
  function assertNotRequested(done: Set<string>) {
    for (const { name, from, to } of hub.requests) {
      for (let at = Math.ceil(from / 512) * 512; at <= to!; at += 512)
        assert.ok(!done.has(`${name}:${at}`), `${name} from ${from} was fetched again`)
    }
  }
})

describe('the cache', () => {
  test('its place follows the environment as in Python', async () => {
    assert.equal(hubCacheDirectory({ HF_HUB_CACHE: '/a' }), '/a')
    assert.equal(hubCacheDirectory({ HF_HOME: '/b' }), '/b/hub')
    assert.equal(hubCacheDirectory({ XDG_CACHE_HOME: '/c' }), '/c/huggingface/hub')
    assert.match(hubCacheDirectory({}), /\.cache\/huggingface\/hub$/)
    const home = mkdtempSync(join(temporary, 'home-'))
    writeFileSync(join(home, 'token'), 'hf_file\n')
    assert.equal(await hubToken({ HF_HOME: home }), 'hf_file')
    assert.equal(await hubToken({ HF_HOME: home, HF_TOKEN: 'hf_env' }), 'hf_env')
    assert.equal(await hubToken({ HF_HOME: home, HF_HUB_DISABLE_IMPLICIT_TOKEN: '1' }), undefined)
  })

  test('ids and revisions that lead elsewhere are refused', async () => {
    for (const id of ['../x', 'a/b/c', 'a/../b', '', 'a b', '/etc', 'a--b/c', '-x/y'])
      assert.throws(() => modelFolder('/cache', id), ModelIdError, id)
    assert.equal(modelFolder('/cache', 'gpt2'), '/cache/models--gpt2')
    await rejects(setUp().run({ revision: '../../main' }), ModelIdError, /not a revision/)
  })

  test('offline: what is there is used, what is not is an error', async () => {
    const { run, env, cache } = setUp()
    await rejects(run({ env: { ...env, HF_HUB_OFFLINE: '1' } }), HubError, /HF_HUB_OFFLINE/)
    const { directory } = await run()
    hub.requests.length = 0
    assert.equal((await run({ env: { ...env, HF_HUB_OFFLINE: 'yes', HF_ENDPOINT: 'http://127.0.0.1:9' } })).directory, directory)
    assert.deepEqual(await locateModel(MODEL, { cache }), { directory, id: MODEL, note: undefined })
  })

  test('list and remove', async () => {
    const { run, cache } = setUp()
    const { directory } = await run()
    const other = join(cache, 'models--gpt2/snapshots', COMMIT)
    mkdirSync(other, { recursive: true })
    writeFileSync(join(other, 'config.json'), '{}')
    const models = await listCachedModels(cache)
    assert.deepEqual(
      models.map(({ id, state }) => [id, state]),
      [
        ['gpt2', 'no safetensors'],
        [MODEL, 'complete'],
      ],
    )
    assert.equal(models[1]!.directory, directory)
    assert.deepEqual(models[1]!.revisions, [{ commit: COMMIT, refs: ['main'] }])
    assert.ok(Math.abs(models[1]!.bytes - totalBytes) < 2000)
    rmSync(join(directory, shard))
    assert.equal((await listCachedModels(cache))[1]!.state, 'incomplete')
    assert.equal(await findCachedModel(MODEL, { cache }), undefined)
    assert.ok((await removeCachedModel(MODEL, cache))! > 800_000)
    assert.equal(await removeCachedModel(MODEL, cache), undefined)
    assert.deepEqual(readdirSync(cache).sort(), ['.locks', 'models--gpt2'])
  })

  test('a name is a path, an id or a preset', async () => {
    const { cache } = setUp()
    assert.deepEqual(await locateModel(temporary), { directory: temporary })
    assert.deepEqual(await locateModel('gpt-oss-20b', { cache }), { id: 'openai/gpt-oss-20b' })
    assert.deepEqual(await locateModel('some/model', { cache }), { id: 'some/model' })
    for (const path of ['./absent', '~absent', 'absent.gguf', 'absent.safetensors', 'a\\b', '/absent'])
      await assert.rejects(locateModel(path, { cache }), /no such file or directory/, path)
    for (const [name, near] of [
      ['gpt-oss', /unknown model "gpt-oss"; closest: .*gpt-oss-20b/],
      ['qwen3-8', /closest: Qwen3-8B/i],
      ['gpt3', /closest: GPT-3,/],
      ['gpt-oss-20', /closest: gpt-oss-20b/],
      ['nope', /unknown model "nope"/],
    ] as const)
      await assert.rejects(locateModel(name, { cache }), (error: Error) => error instanceof ModelIdError && near.test(error.message))
    await assert.rejects(locateModel('a b', { cache }), /not a model id/)
  })

  test('Retry-After in seconds, as a date, and nonsense', () => {
    assert.equal(retryAfterMs('7'), 7000)
    assert.equal(retryAfterMs('Thu, 01 Jan 1970 00:00:10 GMT', 4000), 6000)
    assert.equal(retryAfterMs('soon'), undefined)
    assert.equal(retryAfterMs(null), undefined)
  })
})

interface Child {
  ended: Promise<number | null>
  kill(): void
  output(): string
  errors(): string
}

/** `pull` in a process of its own. */
function startPull(env: Record<string, string | undefined>, pieceBytes: number): Child {
  const url = pathToFileURL(join(import.meta.dirname, '../../src/hub/hub-node.ts')).href
  const script = `
    import { pull } from ${JSON.stringify(url)}
    const onEvent = (event) => event.kind === 'locked' && console.log('locked')
    await pull(${JSON.stringify(MODEL)}, { pieceBytes: ${pieceBytes}, onEvent })`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { env: { PATH: process.env.PATH, ...env } })
  let output = ''
  let errors = ''
  child.stdout.on('data', (data) => (output += data))
  child.stderr.on('data', (data) => (errors += data))
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
  return { ended, kill: () => child.kill('SIGKILL'), output: () => output, errors: () => errors }
}

/** Kills the child when the hub has seen so many requests; false when it ended before. */
async function killAfter(child: Child, { requests }: { requests: unknown[] }, count: number): Promise<boolean> {
  let ended = false
  void child.ended.then(() => {
    ended = true
  })
  const start = performance.now()
  while (!ended && requests.length < count) await new Promise((resolve) => setTimeout(resolve, 1))
  if (count === 0)
    while (!ended && performance.now() - start < 60 + Math.random() * 60) await new Promise((resolve) => setTimeout(resolve, 5))
  if (ended) return false
  child.kill()
  await child.ended
  return true
}

test('the statistics of the fixture are what the tests assume', () => {
  assert.ok(statSync(join(import.meta.dirname, '../fixtures/checkpoints/tiny-qwen3-moe', shard)).size > 20 * PIECE)
})
