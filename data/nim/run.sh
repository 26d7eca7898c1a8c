# A NIM in one command. Before it: an NVIDIA GPU with the container toolkit, a licence (NVIDIA AI
# Enterprise, or the free developer program), a key of NGC in the variable NGC_API_KEY, a login
# (docker login nvcr.io), and a folder for the weights (mkdir -p ~/.cache/nim).
docker run --rm \
  --gpus all \
  --shm-size=16GB \
  -e NGC_API_KEY \
  -v ~/.cache/nim:/opt/nim/.cache \
  -u $(id -u) \
  -p 127.0.0.1:8000:8000 \
  nvcr.io/nim/microsoft/phi-4-mini-instruct:1.12.0
