"""Packaging of tqdit; every value comes from settings.ini.

The C library is compiled where there is a C compiler, and done without where there is none. TQDIT_NATIVE=0 does without
it in any case, TQDIT_NATIVE=require makes a failure an error."""
import importlib.util
import os
import sysconfig
from configparser import ConfigParser
from pathlib import Path
from setuptools import setup, find_packages
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

here = Path(__file__).resolve().parent
native = Path('tqdit/integer/native')


def module_of(file): # a file of the package, without the package: torch is not there yet
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build = module_of(here/native/'build.py')


def for_this_python(target) -> bool: # or for another machine, by a cross compiler?
    "Can the Python that installs load what a compiler makes?"
    platform = sysconfig.get_platform() # e.g. linux-x86_64, macosx-11.0-universal2, win-amd64
    cpus = dict(x86_64=('x86_64', 'amd64', 'universal2'), aarch64=('aarch64', 'arm64', 'universal2'))
    systems = dict(linux=('linux',), darwin=('macosx',), windows=('win', 'mingw'))
    return platform.startswith(systems[target.system]) and platform.endswith(cpus.get(target.cpu, target.cpu))


def compile_library(folder):
    "The library in a folder, as `Built`; None where there is none, in one line that says why."
    target = build.target_of(build.find_compiler())
    if not for_this_python(target):
        raise build.BuildError(f'the compiler works for {target.cpu} {target.system}, '
                               f'this Python for {sysconfig.get_platform()}')
    return build.build_library(folder)


def library_in(folder, current) -> bool: # is it there?
    "Compile the library into a folder, as TQDIT_NATIVE says, and print one line about it."
    wish = os.environ.get('TQDIT_NATIVE', '')
    if wish not in ('', '0', '1', 'require'):
        raise SystemExit(f'TQDIT_NATIVE={wish}: it can be 0 (do without the C library) or require')
    library = folder/build.LIBRARY.name
    if wish != '0' and current and build.is_current(library):
        print(f'tqdit: {library.name} is newer than its sources')
        return True
    library.unlink(missing_ok=True) # an old one might not fit to the new modules
    try:
        if wish == '0':
            raise build.BuildError('TQDIT_NATIVE=0')
        print(f'tqdit: {compile_library(folder)}')
    except build.BuildError as e:
        if wish == 'require':
            raise SystemExit(f'tqdit: the C library was not built: {e}')
        print(f'tqdit: goes on without the C library, integers will be slower: {e}')
    return library.exists()


class BuildWithLibrary(build_py):
    "Copies the modules, and compiles the library into the copy; in place where the install is editable."
    has_library = False

    def run(self):
        super().run()
        folder = here/native if self.editable_mode else Path(self.build_lib)/native
        self.has_library = library_in(folder, current=self.editable_mode)


class Wheel(bdist_wheel):
    "With the library: one wheel a platform, for all Pythons. Without: one for all."

    def run(self):
        self.run_command('build')
        self.root_is_pure = not self.get_finalized_command('build_py').has_library
        self.distribution.has_ext_modules = lambda: not self.root_is_pure # where the modules lie in the wheel
        super().run()

    def get_tag(self):
        python, abi, platform = super().get_tag()
        if self.root_is_pure:
            return python, abi, platform
        cpu = build.target_of(build.find_compiler()).cpu.replace('aarch64', 'arm64')
        return 'py3', 'none', platform.replace('universal2', cpu) # the library is for one of the two only


parser = ConfigParser(delimiters=['='])
parser.read(here/'settings.ini', encoding='utf-8')
cfg = parser['DEFAULT']
pythons = ['3.10', '3.11', '3.12', '3.13']

extras = {k: cfg[f'{k}_requirements'].split() for k in ('dev', 'bench', 'diffusers', 'onnx')}
readme = here/'README.md'
commands = [line for line in cfg['console_scripts'].split('\n') if line.strip()]

setup(
    name=cfg['lib_name'],
    version=cfg['version'],
    description=cfg['description'],
    keywords=cfg['keywords'],
    author=cfg['author'],
    author_email=cfg['author_email'],
    url=cfg['git_url'],
    license='Apache-2.0',
    long_description=readme.read_text(encoding='utf-8') if readme.exists() else '',
    long_description_content_type='text/markdown',
    classifiers=['Development Status :: 3 - Alpha', 'Intended Audience :: Developers',
                 'Intended Audience :: Science/Research', 'Natural Language :: English',
                 *(f'Programming Language :: Python :: {p}' for p in pythons)],
    packages=find_packages(include=['tqdit', 'tqdit.*']),
    include_package_data=True,
    package_data={'tqdit': ['weights/*.safetensors', 'weights/*.json', 'integer/native/*.[ch]']},
    cmdclass=dict(build_py=BuildWithLibrary, bdist_wheel=Wheel),
    install_requires=cfg['requirements'].split(),
    extras_require=extras,
    python_requires='>=' + cfg['min_python'],
    entry_points={'console_scripts': commands, 'nbdev': [f'{cfg["lib_path"]}={cfg["lib_path"]}._modidx:d']},
    zip_safe=False)
