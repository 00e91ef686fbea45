/** Scene: the types of the server's answers about the study, in stored units. */

export type Range = [number, number];
export type Triple = [number, number, number];

/** A colour map: red, green, blue at positions 0 to 255. */
export interface Lut {
  R: number[];
  G: number[];
  B: number[];
  A: number[];
  I: number[];
}

export interface ScanImage {
  id: string;
  label: string;
  b: number;
  limits: Range;
  url: string;
}

/** A single volume, with the range of the mean of its b-value. */
export interface ScanVolume {
  id: string;
  label: string;
  limits: Range;
  url: string;
}

export interface MapInfo {
  name: string;
  symbol: string;
  label: string;
  description: string;
  unit: string;
  /** Ratio of shown to stored value. */
  factor: number;
  unit_shown: string;
  limits: Range;
  colormap: string;
  /** Whether it is an uncertainty map. */
  about_another: boolean;
  url: string;
  /** Voxels whose value the data do not determine: 1 in an image, and their number; null if none.
   * */
  doubtful: { url: string; n: number; why: string } | null;
}

/** A colour of the status: the voxels whose most serious flag it is. */
export interface Grade {
  name: string;
  colour: string;
  /** A short form of the sentence. */
  words: string;
  sentence: string;
  advice: string;
  shown: number;
  /** All voxels with the flag. */
  total: number;
}

export interface ResultInfo {
  id: string;
  name: string;
  model: string;
  equation: string;
  method: string;
  options: Record<string, unknown>;
  /** The map to look at first. */
  favourite: string;
  maps: MapInfo[];
  /** In the stored unit; null is infinite. */
  bounds: Record<string, [number | null, number | null]>;
  status_counts: Record<string, number>;
  grades: Grade[];
  /** An image of indices into the grades, from 1; 0 is outside the mask. */
  grades_url: string;
  /** Inside the mask. */
  voxels: number;
  report: string;
}

export interface OptionInfo {
  name: string;
  kind: "number" | "choice" | "flag";
  default: number | string | boolean | null;
  choices: (string | number)[];
}

export interface MethodInfo {
  name: string;
  title: string;
  options: OptionInfo[];
}

export interface ParameterInfo {
  name: string;
  symbol: string;
  factor: number;
  unit_shown: string;
  /** In the stored unit; null is infinite. */
  bounds: [number | null, number | null];
}

export interface ModelInfo {
  name: string;
  title: string;
  equation: string;
  parameters: ParameterInfo[];
}

export interface Scene {
  title: string;
  shape: Triple;
  /** Of each block of that many voxels the first is in the images; 1, 1, 1 unless the scan is large. */
  stride: Triple;
  voxel_size: Triple;
  voxel_units: string;
  has_scan: boolean;
  why_no_scan: string | null;
  bvals: number[];
  images: ScanImage[];
  /** In the order in which they were acquired. */
  volumes: ScanVolume[];
  /** Those before the steps that were applied to the scan; none if there were no steps. */
  acquired: ScanVolume[];
  /** Why there are none, although there were steps. */
  why_not_acquired: string | null;
  /** What was done to the scan before the fit. */
  steps: string[];
  results: ResultInfo[];
  /** The first result minus each other one. */
  differences: { name: string; maps: MapInfo[] }[];
  /** Where the voxels with a fit are. */
  tissue: { start: Triple; low: Triple; high: Triple };
  labels: { url: string; names: Record<string, string> } | null;
  methods: MethodInfo[];
  models: ModelInfo[];
  colormaps: Record<string, Lut>;
  version: string;
}

/** One number per b-value; null where there is none. */
export interface Signal {
  b: number[];
  signal: (number | null)[];
  /** Settings of the other variables, if there are several, with the positions of their values. */
  series?: { name: string; members: number[] }[];
}

export interface Estimate {
  name: string;
  symbol: string;
  /** Whether it is read out with the curve. */
  noted: boolean;
  value: number | null;
  sd: number | null;
  limits: string;
  lo: number | null;
  hi: number | null;
  text: string;
  factor: number;
  unit_shown: string;
}

/** A spectrum of decay rates, in the unit shown. */
export interface Spectrum {
  rates: number[];
  /** Of S0. */
  shares: number[];
  unit: string;
  windows: { symbol: string; low: number; high: number }[];
  peaks: { rate: number; fraction: number }[];
}

export interface Fit {
  id: string;
  name: string;
  /** Of several settings (echo times, ...) of which the model knows, each has its signal in `settings`. */
  curve: Signal & { components: { name: string; signal: (number | null)[] }[]; settings: { name: string; signal: (number | null)[] }[] };
  residuals: { b: number[]; residual: (number | null)[] } | null;
  estimates: Estimate[];
  status: { code: number; names: string[]; sentence: string };
  /** Of a method that has one, if the scan or the spectra are there. */
  spectrum: Spectrum | null;
  notes?: string[];
}

export interface VoxelAnswer {
  voxel: Triple;
  world: Triple;
  measured: Signal | null;
  averaged: Signal | null;
  fits: Fit[];
}

export interface RegionMap {
  map: string;
  n: number;
  missing: number;
  reliable: number;
  mean: number | null;
  sd: number | null;
  median: number | null;
  q25: number | null;
  q75: number | null;
  min: number | null;
  max: number | null;
}

export interface RegionAnswer {
  number: number;
  name: string;
  n: number;
  volume_ml: number | null;
  diameter_mm: number | null;
  maps: RegionMap[];
  /** Of the region's mean signal. */
  fit: (Fit & { averaged: Signal }) | null;
  /** A sentence, if there is a signal but no fit. */
  why_no_fit: string | null;
  /** A sentence, if its voxels and its mean signal disagree. */
  note: string | null;
}

export interface Comparison {
  map: string;
  difference: number | null;
  /** The larger standard deviation of the two, used to round the difference. */
  error: number | null;
  ratio: number | null;
  cnr: number | null;
  hedges_g: number | null;
  auc: number | null;
  p: number | null;
}

export interface RegionsAnswer {
  regions: RegionAnswer[];
  /** The map that separates best comes first. */
  comparison: Comparison[];
  compared: [string, string] | null;
  sentence: string | null;
}
