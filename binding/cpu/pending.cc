// Ops whose kernels have not landed yet; each disappears from here with its own file.
#include "binding/cpu/cpu_backend.h"

namespace espalier::cpu {

Status CpuBackend::embedding(const EmbeddingArguments&) { return {ErrorCode::unsupported, "not implemented"}; }
Status CpuBackend::linear(const LinearArguments&) { return {ErrorCode::unsupported, "not implemented"}; }
Status CpuBackend::masked_matmul(const MaskedMatmulArguments&) { return {ErrorCode::unsupported, "not implemented"}; }
Status CpuBackend::cross_entropy(const CrossEntropyArguments&) { return {ErrorCode::unsupported, "not implemented"}; }
Status CpuBackend::gather(const GatherArguments&) { return {ErrorCode::unsupported, "not implemented"}; }
Status CpuBackend::scale(const ScaleArguments&) { return {ErrorCode::unsupported, "not implemented"}; }
Status CpuBackend::cast(const CastArguments&) { return {ErrorCode::unsupported, "not implemented"}; }
Status CpuBackend::elementwise(const ElementwiseArguments&) { return {ErrorCode::unsupported, "not implemented"}; }
Status CpuBackend::squared_error(const SquaredErrorArguments&) { return {ErrorCode::unsupported, "not implemented"}; }
Status CpuBackend::sum(const SumArguments&) { return {ErrorCode::unsupported, "not implemented"}; }
Status CpuBackend::transpose(const TransposeArguments&) { return {ErrorCode::unsupported, "not implemented"}; }
Status CpuBackend::condition_number(const ConditionNumberArguments&) { return {ErrorCode::unsupported, "not implemented"}; }

}  // namespace espalier::cpu
