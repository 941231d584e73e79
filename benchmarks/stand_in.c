/* The functions of the CUDA runtime that onnxruntime's CUDA provider calls before it uses the device, for
   `python -m benchmarks.gpu --placement`: one GPU of compute capability 9.0 that does nothing. */
#include <cuda_runtime_api.h>
#include <stdlib.h>
#include <string.h>

static cudaError_t give(void **address, size_t size) {
  return posix_memalign(address, 512, size ? size : 1) ? cudaErrorMemoryAllocation : cudaSuccess;
}
static cudaError_t handle(void *address) { return give((void **)address, 8); }
static cudaError_t number(int *address, int value) { *address = value; return cudaSuccess; }

cudaError_t cudaGetDeviceCount(int *count) { return number(count, 1); }
cudaError_t cudaGetDevice(int *device) { return number(device, 0); }
cudaError_t cudaDriverGetVersion(int *version) { return number(version, CUDART_VERSION); }
cudaError_t cudaRuntimeGetVersion(int *version) { return number(version, CUDART_VERSION); }
cudaError_t cudaDeviceGetAttribute(int *value, enum cudaDeviceAttr attribute, int device) {
  return number(value, attribute == cudaDevAttrComputeCapabilityMajor ? 9 : 0);
}
cudaError_t cudaGetDeviceProperties(struct cudaDeviceProp *properties, int device) {
  memset(properties, 0, sizeof *properties);
  strcpy(properties->name, "stand-in");
  properties->major = 9;
  properties->warpSize = 32;
  properties->multiProcessorCount = 1;
  properties->maxThreadsPerBlock = 1024;
  properties->totalGlobalMem = 1ull << 36;
  return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t *free, size_t *total) { *free = *total = 1ull << 36; return cudaSuccess; }
cudaError_t cudaMalloc(void **address, size_t size) { return give(address, size); }
cudaError_t cudaMallocHost(void **address, size_t size) { return give(address, size); }
cudaError_t cudaHostAlloc(void **address, size_t size, unsigned flags) { return give(address, size); }
cudaError_t cudaFree(void *address) { free(address); return cudaSuccess; }
cudaError_t cudaFreeHost(void *address) { free(address); return cudaSuccess; }
cudaError_t cudaMemcpy(void *to, const void *from, size_t size, enum cudaMemcpyKind kind) {
  memcpy(to, from, size);
  return cudaSuccess;
}
cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t size, enum cudaMemcpyKind kind, cudaStream_t stream) {
  return cudaMemcpy(to, from, size, kind);
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned flags) { return handle(stream); }
cudaError_t cudaStreamCreate(cudaStream_t *stream) { return handle(stream); }
cudaError_t cudaEventCreateWithFlags(cudaEvent_t *event, unsigned flags) { return handle(event); }
cudaError_t cudaEventCreate(cudaEvent_t *event) { return handle(event); }
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, enum cudaStreamCaptureStatus *status) {
  *status = cudaStreamCaptureStatusNone;
  return cudaSuccess;
}
const char *cudaGetErrorString(cudaError_t error) { return "stand-in"; }
const char *cudaGetErrorName(cudaError_t error) { return "stand-in"; }
int cublasCreate_v2(void **address) { return handle(address); }
int cublasLtCreate(void **address) { return handle(address); }
const char *cublasGetStatusName(int status) { return "stand-in"; }
