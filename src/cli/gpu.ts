/** `lineage gpu`: the GPU that the backend webgpu would use, what it offers, whether it computes rightly and how fast it copies. */
import type { Command } from 'commander'
import type { Examined } from '../gpu.ts'
import { painter, table } from './support/terminal.ts'

interface Options {
  software?: boolean
  json?: boolean
}

/** The limits that decide what fits. */
const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxStorageBuffersPerShaderStage',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupsPerDimension',
] as const

/** A copy on an adapter that computes on the CPU takes long: a small one is enough. */
const COPIED = { gpu: 256 << 20, software: 8 << 20 }

export function register(program: Command): void {
  program
    .command('gpu')
    .description(
      'Says which GPU the backend webgpu uses, its limits and features, whether its results are right, and measures a copy and the cost of a dispatch.\nNeeds the package webgpu: npm install webgpu@0.6',
    )
    .option('--software', 'also take an adapter that computes on the CPU')
    .option('--json', 'print everything as JSON')
    .addHelpText('after', '\nExamples:\n  lineage gpu\n  lineage gpu --json')
    .action(async (options: Options) => {
      const [{ examineGpu }, { ALL_FORMATS }] = await Promise.all([import('../gpu-node.ts'), import('../ops/webgpu/self-check.ts')])
      const examined = await examineGpu({ software: options.software, check: true, formats: async () => ALL_FORMATS })
      try {
        const report = await gpuReport(examined)
        process.stdout.write(options.json ? `${JSON.stringify(report, null, 2)}\n` : `${asText(report)}\n`)
        if (report.wrong.length > 0) process.exitCode = 1
      } finally {
        await examined.backend.dispose()
      }
    })
}

export interface GpuReport {
  adapter: string
  vendor: string
  architecture: string
  /** Whether the adapter computes on the CPU. */
  software: boolean
  limits: Record<(typeof LIMITS)[number], number>
  features: string[]
  /** Those of the features that the kernels use. */
  used: string[]
  /** What the kernels do without, because their results with it were wrong; null: nothing. */
  dropped: string | null
  /** Kernels whose results differ from the reference. Empty: all are right. */
  wrong: string[]
  checked: number
  /** Bytes read and written per second by a copy. */
  copyBytesPerSecond: number
  dispatchSeconds: number
  submissionSeconds: number
}

export async function gpuReport({ backend, checks }: Examined): Promise<GpuReport> {
  const [{ adapterName }, { copyBandwidth, dispatchCost }] = await Promise.all([import('../gpu.ts'), import('../ops/webgpu/measure.ts')])
  const { device, info, software, limits, variants } = backend.device
  const { dispatch, submission } = await dispatchCost(device, software ? [5, 50] : [50, 800])
  return {
    adapter: adapterName(backend),
    vendor: info.vendor,
    architecture: info.architecture,
    software,
    limits: Object.fromEntries(LIMITS.map((name) => [name, limits[name]])) as GpuReport['limits'],
    features: [...device.features].sort(),
    used: variants.subgroups ? ['subgroups'] : [],
    dropped: backend.dropped ?? null,
    wrong: checks.flatMap(({ name, problem }) => (problem === undefined ? [] : [`${name}: ${problem}`])),
    checked: checks.length,
    copyBytesPerSecond: await copyBandwidth(device, software ? COPIED.software : COPIED.gpu),
    dispatchSeconds: dispatch,
    submissionSeconds: submission,
  }
}

function asText(report: GpuReport): string {
  const { adapter, vendor, architecture, software, limits, features, used, dropped, wrong, checked } = report
  const rows = [
    ['adapter', `${adapter} (${[vendor, architecture].filter(Boolean).join(', ')})${software ? ', which computes on the CPU' : ''}`],
    ...Object.entries(limits).map(([name, value]) => [name, name.endsWith('Size') ? bytes(value) : String(value)]),
    ['features', features.join(' ') || 'none'],
    ['used by the kernels', used.join(' ') || 'none: the baseline'],
    ...(dropped === null ? [] : [['done without', dropped]]),
    ['self-check', wrong.length === 0 ? `${checked} kernels agree with the reference` : `WRONG: ${wrong.join('; ')}`],
    ['copy', `${(report.copyBytesPerSecond / 1e9).toFixed(1)} GB/s read and written`],
    [
      'one dispatch',
      `${(report.dispatchSeconds * 1e6).toFixed(1)} µs after another; a submission ${(report.submissionSeconds * 1e6).toFixed(0)} µs`,
    ],
  ]
  return table(rows, painter())
}

const bytes = (n: number): string =>
  n >= 2 ** 30 ? `${(n / 2 ** 30).toFixed(2)} GiB` : n >= 2 ** 20 ? `${n / 2 ** 20} MiB` : `${n / 2 ** 10} KiB`
