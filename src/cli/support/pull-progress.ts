/**
 * Progress of a pull: one line per file, and one total with rate and remaining time. On a terminal the
 * block is redrawn in place. Otherwise a line is printed per complete file and every few seconds.
 */
import type { PullEvent } from '../../hub/hub-node.ts'
import { duration, fit, rateMeter, type Screen, transferState } from './progress.ts'
import { binary } from './terminal.ts'

interface FileState {
  name: string
  size: number
  bytes: number
  done: boolean
}

export interface PullProgress {
  onEvent: (event: PullEvent) => void
  /** Leaves the last state on the screen. May be called twice. */
  end: () => void
}

export function pullProgress(stream: Screen, label: string, now: () => number = () => performance.now()): PullProgress {
  const files = new Map<string, FileState>()
  const rate = rateMeter(now)
  let totalBytes = 0
  let allBytes = 0
  let notice = ''
  let drawnLines = 0
  let drawnAt = Number.NEGATIVE_INFINITY
  let ended = false

  const total = () => transferState(notice || label, allBytes, totalBytes, rate.bytesPerSecond())

  const draw = (force: boolean) => {
    if (files.size === 0 || ended) return
    const time = now()
    if (!force && time - drawnAt < (stream.isTTY ? 100 : 5000)) return
    drawnAt = time
    if (!stream.isTTY) return void stream.write(`${total()}\n`)
    const lines = [...visible([...files.values()], (stream.rows ?? 24) - 3).map(fileLine), total()]
    const up = drawnLines > 0 ? `\x1b[${drawnLines}A` : ''
    stream.write(up + lines.map((line) => `\r\x1b[2K${fit(line, stream)}\n`).join(''))
    // Clear the lines below a block that became shorter.
    if (drawnLines > lines.length) stream.write('\x1b[J')
    drawnLines = lines.length
  }

  const print = (text: string) => {
    if (stream.isTTY && drawnLines > 0) {
      stream.write(`\x1b[${drawnLines}A\r\x1b[J`)
      drawnLines = 0
    }
    stream.write(`${text}\n`)
  }

  return {
    onEvent(event) {
      switch (event.kind) {
        case 'locked':
          print(`${label}: ${event.holder} is pulling it; waiting`)
          break
        case 'plan':
          totalBytes = event.totalBytes
          for (const { name, size, present } of event.files) files.set(name, { name, size, bytes: present, done: present === size })
          allBytes = [...files.values()].reduce((sum, { bytes }) => sum + bytes, 0)
          rate.at(allBytes)
          draw(true)
          break
        case 'progress': {
          files.get(event.name)!.bytes = event.bytes
          allBytes = event.allBytes
          rate.at(allBytes)
          notice = ''
          draw(false)
          break
        }
        case 'done': {
          const file = files.get(event.name)!
          if (!stream.isTTY && !file.done) print(`${event.name}: ${binary(file.size)} verified`)
          file.done = true
          draw(stream.isTTY === true)
          break
        }
        case 'verify':
          if (!stream.isTTY) print(`${event.name}: comparing its hash`)
          break
        case 'damaged': {
          print(`${event.name}: damaged on this disk, fetched again`)
          const file = files.get(event.name)
          if (file) Object.assign(file, { bytes: 0, done: false })
          break
        }
        case 'pause':
          notice = `${event.reason}; next try in ${duration(event.milliseconds / 1000)}`
          if (!stream.isTTY && event.milliseconds > 5000) print(`${label}: ${notice}`)
          draw(event.milliseconds > 2000)
          break
      }
    },
    end() {
      draw(true)
      ended = true
    },
  }
}

/** Where the terminal is too small for all files, active ones come first. */
function visible(files: readonly FileState[], rows: number): FileState[] {
  if (files.length <= rows) return [...files]
  const order = (file: FileState) => (file.done ? 2 : file.bytes > 0 ? 0 : 1)
  const chosen = new Set([...files].sort((a, b) => order(a) - order(b)).slice(0, Math.max(1, rows)))
  return files.filter((file) => chosen.has(file))
}

function fileLine({ name, size, bytes, done }: FileState): string {
  const percent = done ? 'done' : `${size > 0 ? Math.floor((100 * bytes) / size) : 0} %`
  return `${percent.padStart(5)}  ${binary(bytes).padStart(10)} of ${binary(size).padStart(10)}  ${name}`
}
