/** The command line as such: help, versions, exit codes, one-line errors, colours. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { lineage } from './run.ts'

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as { version: string }

test('help, with and without a command', async () => {
  for (const args of [[], ['--help'], ['help']]) {
    const { code, out, err } = lineage(args)
    assert.deepEqual([code, err], [0, ''], args.join())
    assert.match(out, /^Usage: lineage COMMAND/)
    for (const name of ['inspect', 'compare', 'steps']) assert.match(out, new RegExp(`^ {2}${name} `, 'm'))
  }
  const names = [
    ...lineage(['--help'])
      .out.split('Options:')[0]!
      .matchAll(/^ {2}([a-z]+) {2,}\S/gm),
  ].map(([, name]) => name!)
  assert.ok(names.length >= 3)
  for (const name of names) {
    const { register } = (await import(`../../src/cli/${name}.ts`)) as { register(program: Command): void }
    const program = new Command('lineage')
    register(program)
    let text = ''
    const [command] = program.commands
    command!.configureOutput({ writeOut: (part) => (text += part) }).outputHelp()
    assert.equal(program.commands.length, 1, name)
    assert.match(text, new RegExp(`^Usage: lineage ${name} `), name)
    assert.match(text, /Examples?:\n/, `${name} --help has no examples`)
  }
  assert.equal(lineage(['help', 'steps']).out, lineage(['steps', '--help']).out)
})

test('version', () => assert.equal(lineage(['--version']).out, `${version}\n`))

test('wrong usage is one line and exit code 2', () => {
  const cases: [string[], RegExp][] = [
    [['frobnicate'], /^lineage: unknown command "frobnicate"; see lineage --help\n$/],
    [['lok'], /^lineage: unknown command "lok"; did you mean look\?; see lineage --help\n$/],
    [['Serv'], /did you mean serve\?/],
    [['constructor'], /^lineage: unknown command "constructor"; see lineage --help\n$/],
    [['--frobnicate'], /^lineage: unknown option --frobnicate; see lineage --help\n$/],
    [['inspect', '--frobnicate'], /^lineage: unknown option '--frobnicate'; see lineage inspect --help\n$/],
    [['inspect'], /^lineage: expected a MODEL; lineage inspect --list names the published ones\n$/],
    [['inspect', 'gpt2', 'gpt2-xl'], /^lineage: too many arguments.*; see lineage inspect --help\n$/],
    [
      ['inspect', 'gpt2', '--context', 'many'],
      /^lineage: option '--context <tokens>' argument 'many' is invalid\. .*; see lineage inspect --help\n$/,
    ],
    [['inspect', 'gpt2', '--memory', '-1'], /Expected a size with its unit, such as 16GB/],
    [['compare', 'gpt2'], /^lineage: expected at least two models to compare\n$/],
    [['steps', '--from', 'gpt-oss-20b'], /^lineage: --from gpt-oss-20b: expected a model with learned positions/],
  ]
  for (const [args, message] of cases) {
    const { code, out, err } = lineage(args)
    assert.match(err, message, args.join(' '))
    assert.deepEqual([code, out, err.split('\n').length], [2, '', 2], args.join(' '))
  }
})

test('a failure while running is one line and exit code 1; --debug adds the stack', () => {
  const config = fileURLToPath(new URL('../fixtures/ops.json', import.meta.url))
  const { code, err } = lineage(['inspect', config])
  assert.equal(code, 1)
  assert.match(err, /^lineage: .*ops\.json: model_type: missing; expected one of .*\n$/)
  const debug = lineage(['inspect', '--debug', config])
  assert.equal(debug.code, 1)
  assert.match(debug.err, /\n {4}at /)
})

test('colours on terminals only', () => {
  const ESCAPE = '\u001b['
  assert.ok(!lineage(['compare', 'gpt2', 'gpt2-xl']).out.includes(ESCAPE))
  assert.ok(lineage(['compare', 'gpt2', 'gpt2-xl'], { env: { FORCE_COLOR: '1' } }).out.includes(ESCAPE))
})

test('a closed pipe is no failure', { skip: process.platform === 'win32' && 'needs a POSIX shell' }, () => {
  const entry = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
  const { stderr, stdout } = spawnSync('sh', ['-c', `"${process.execPath}" "${entry}" inspect gpt-oss-20b --json | head -1`], {
    encoding: 'utf8',
  })
  assert.deepEqual([stderr, stdout], ['', '{\n'])
})

test('bin/lineage.js starts the same program', () => {
  const bin = fileURLToPath(new URL('../../bin/lineage.js', import.meta.url))
  const { status, stdout } = spawnSync(process.execPath, [bin, '--version'], { encoding: 'utf8' })
  assert.deepEqual([status, stdout], [0, `${version}\n`])
})

/** A Node.js before 24 where the machine has one; elsewhere this one under the version number of an older one. */
const older = ['/usr/bin/node', '/usr/local/bin/node', process.env.LINEAGE_OLD_NODE].find((path) => {
  if (!path || !existsSync(path)) return false
  return Number(spawnSync(path, ['-p', 'process.versions.node.split(".")[0]'], { encoding: 'utf8' }).stdout) < 24
})
const pretend = `data:text/javascript,${encodeURIComponent(
  "import { syncBuiltinESMExports } from 'node:module'; Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '18.20.0' } }); syncBuiltinESMExports()",
)}`
const own = fileURLToPath(new URL(`../../node_modules/node/bin/node${process.platform === 'win32' ? '.exe' : ''}`, import.meta.url))
const whyNot = !existsSync(own) && 'the clone has no Node.js of its own'
const old: [string, ...string[]] = older ? [older] : [process.execPath, '--import', pretend]

test('with an older Node.js the clone starts its own, and passes arguments, output and exit codes on', { skip: whyNot }, () => {
  const bin = fileURLToPath(new URL('../../bin/lineage.js', import.meta.url))
  const run = (...args: string[]) => spawnSync(old[0], [...old.slice(1), bin, ...args], { encoding: 'utf8' })
  assert.deepEqual([run('--version').status, run('--version').stdout], [0, `${version}\n`])
  const wrong = run('frobnicate')
  assert.deepEqual([wrong.status, wrong.stderr], [2, 'lineage: unknown command "frobnicate"; see lineage --help\n'])
})

test('help is quick: it loads no command', () => {
  const entry = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
  // Processor time, because the clock also shows what other processes do.
  const report = "process.on('exit', () => process.stderr.write(JSON.stringify(process.cpuUsage())))"
  const milliseconds = (args: string[]): number => {
    const { stderr } = spawnSync(process.execPath, ['--import', `data:text/javascript,${report}`, ...args], { encoding: 'utf8' })
    const { user, system } = JSON.parse(stderr) as { user: number; system: number }
    return (user + system) / 1000
  }
  const best = (args: string[]): number => Math.min(...[0, 1, 2, 3].map(() => milliseconds(args)))
  const [bare, help] = [best(['-e', '0']), best([entry, '--help'])]
  assert.ok(help - bare < 150, `${help.toFixed(0)} ms against ${bare.toFixed(0)} ms for nothing`)
})
