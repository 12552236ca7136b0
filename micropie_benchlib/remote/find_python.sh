# Prints the path of a Python that can run this tool; what it prints else is said to the user.
for python in python3 python3.15 python3.14 python3.13 python3.12 python3.11; do
    if "$python" -c "import sys; sys.exit(sys.version_info < (3, 11))" 2>/dev/null; then
        command -v "$python"
        exit 0
    fi
done
command -v python3 >/dev/null || exit 4
python3 -V
exit 3
