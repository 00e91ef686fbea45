"""Named tolerances, each with its reason. A test that needs a wider one has found a fault."""

ULP = 2.3e-16
"""One unit in the last place of a float64 near 1: what one rounding can do."""

EXPONENTIAL = 4 * ULP
"""exp and log promise about 2 units in the last place; twice that, as the reference errs too."""

CLOSED_FORM = 1e-10
"""A formula evaluated in two orders: some hundred roundings, times a condition number of 1e4."""

MOMENT = 5e-8
"""A Taylor series of 8 terms, differentiated twice: (y / 32)^6 / 720 y^2 exp(-y) is at most 7e-9
for one b-value (at y = b t = 8), and a few of them add up."""

DERIVATIVE = 1e-8
"""Richardson extrapolation of central differences is exact to about 1e-10 of the derivative."""

NOISE_FREE = 1e-6
"""The goal: noise-free data give every parameter to 1e-6 relative (benchmarks/exact.py)."""

SAME_COST = 1e-9
"""A method stops when a step promises less than this share of the cost."""

SAME_MINIMUM = 2e-4
"""Parameters of one minimum, reached on two ways, relative. A promise of 1e-9 of the cost is
1e-4 standard deviations at 10 degrees of freedom, and the worst parameter that is not flagged
(D*) has a standard deviation of up to twice itself."""

OPTIMUM = 1.0001
"""The goal: a cost within this factor of the best known one is the optimum (optimum.py)."""

OPTIMUM_MISSED = 1.01
"""The goal: no voxel has a cost above this factor of the best known one (optimum.py)."""

SHARE_AT_OPTIMUM = 0.995
"""Share of voxels that must be at the optimum: the goal is 99.9 % of 2 000 voxels; with some
hundred voxels one miss is allowed."""

POSTERIOR = 0.02
"""The goal: means of the posterior to this share of its standard deviation, and standard
deviations and correlations to this share, where both pools are seen and the noise is known."""

POSTERIOR_LIMIT = 0.05
"""The goal: limits of 95 % intervals to this share of the standard deviation: the lattice has
about three nodes per standard deviation, and ends where the likelihood has fallen by 3e-5."""

POSTERIOR_TAILED = 2
"""Factor on both where the noise is integrated out: what the lattice leaves out of a Student
density with 12 degrees of freedom is more than of a normal one."""

SAME_PICTURE = 2.5
"""Root mean square difference of two pictures by one version of matplotlib, of 255 levels, in
blocks of 4 x 4 pixels: nothing but rounding. One kind of marks that is missing gives 5."""

SIMILAR_PICTURE = 15
"""The same by different versions: letters and edges of voxels are a pixel away, 5 to 11 by 3.9
against 3.11."""

SAME_ON_GPU = 1e-9
"""The goal: a GPU gives the processor's float64 numbers to this share, where data determine them.
Both sum in their own order, and a step of the fit magnifies that rounding."""

SINGLE_PRECISION = 1e-3
"""The goal: float32 gives the numbers of float64 to this share, where data determine them."""

SAME_SIDE_BY_SIDE = 1e-7
"""Parameters of voxels fitted side by side and one by one: the same steps with sums in another
order. Rounding of 1e-14 of a cost is 1e-7 of a step along the flattest of its valleys."""

SAME_FIT = 1e-9
"""One fit on two processors, relative to the value and to the largest of the map: sums are added
in another order, and Newton steps carry that on (`golden`)."""

FLAT_LIKELIHOOD = 1e-6
"""The same where the likelihood of magnitudes is so flat that its last step promised less than
1e-9 of it: found with kernels compiled for a processor without wide vectors."""

SAME_POSTERIOR = 1e-4
"""One posterior on two processors, relative to the value and to the largest of the map: its nodes
are summed in single precision, in an order that depends on the length of vectors, and differences
of 1e-6 of a sum are magnified where the mean is far below the largest of the map."""
